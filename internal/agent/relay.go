// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

// relay copies between in and out and the socket of the agent until one side
// ends. A client on another host uses it, for example over docker exec. The lock of
// a client that dies ends with in.
func relay(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("agent connect", flag.ContinueOnError)
	stateDirectory := flags.String("state-dir", "",
		"directory of the state of the agent to connect to; the default is the agent's own")
	patience := flags.Duration("patience", 0, "how long to wait for an agent that does not listen yet")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := store.LocateDir(*stateDirectory)
	if err != nil {
		return err
	}
	conn, err := await(dir, *patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(out, api.Handshake); err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() {
		_, err := io.Copy(conn, in)
		ended <- err
	}()
	go func() {
		_, err := io.Copy(out, conn)
		ended <- err
	}()
	return <-ended
}

// await dials an agent that may take a while to listen.
func await(dir store.Dir, patience time.Duration) (net.Conn, error) {
	ctx := context.Background()
	if patience <= 0 {
		return api.Dial(ctx, dir)
	}
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 5*time.Millisecond, 100*time.Millisecond
	return backoff.Retry(ctx, func() (net.Conn, error) {
		conn, err := api.Dial(ctx, dir)
		if err != nil && !errors.Is(err, api.ErrNotRunning) {
			err = backoff.Permanent(err)
		}
		return conn, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(patience))
}
