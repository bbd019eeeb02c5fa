// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agenttest

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// UseSocketActivation makes the replicas of release take the socket that is passed to them.
func UseSocketActivation(release *bluegreen.Release) {
	release.Settings = process.Settings{SocketActivation: true}
}

// passedListener returns the listener that was passed to this process, nil for none, as
// sd_listen_fds(3) does.
func passedListener() (net.Listener, error) {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) || os.Getenv("LISTEN_FDS") != "1" {
		return nil, nil
	}
	descriptor, err := strconv.Atoi(os.Getenv("BLUEGREEN_LISTEN_FD"))
	if err != nil || descriptor != 3 {
		return nil, fmt.Errorf("the descriptor is %q", os.Getenv("BLUEGREEN_LISTEN_FD"))
	}
	file := os.NewFile(uintptr(descriptor), os.Getenv("LISTEN_FDNAMES"))
	defer file.Close()
	return net.FileListener(file)
}
