// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

// predecessor is the agent that this one takes over from, and what it has handed over; see
// handover.go. Nil is that of an agent that has not.
type predecessor struct {
	former net.Conn
	lock   *os.File
	// sockets are those that clients connect to.
	sockets frontend.Received
}

// takeOver asks the agent of dir for everything that it has.
func takeOver(ctx context.Context, dir store.Dir) (*predecessor, error) {
	former, err := api.Dial(ctx, dir)
	if err != nil {
		return nil, err
	}
	i := &predecessor{former: former}
	if err := i.receive(ctx); err != nil {
		i.sockets.CloseUnused()
		former.Close()
		return nil, fmt.Errorf("taking over from the agent that runs: %w", err)
	}
	return i, nil
}

func (i *predecessor) receive(ctx context.Context) error {
	if err := i.former.SetDeadline(time.Now().Add(handoverTimeout)); err != nil {
		return err
	}
	if err := i.ask(ctx); err != nil {
		return err
	}
	if _, err := i.former.Write([]byte{wordReady}); err != nil {
		return err
	}
	files, ok := i.former.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("a Unix connection is a %T", i.former)
	}
	for i.lock == nil {
		word, file, err := receiveFile(files)
		if err != nil {
			return err
		}
		if word == wordLock {
			i.lock = file
			continue
		}
		listener, err := net.FileListener(file)
		file.Close()
		if err != nil {
			return err
		}
		tcp, ok := listener.(*net.TCPListener)
		if !ok {
			return errors.Join(fmt.Errorf("a %T was handed over", listener), listener.Close())
		}
		i.sockets.Add(tcp)
	}
	return nil
}

// ask returns once the former agent has agreed. Agents of different versions hand
// over to each other, so nothing is said of the API's.
func (i *predecessor) ask(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent/v1/handover", nil)
	if err != nil {
		return err
	}
	if err := request.Write(i.former); err != nil {
		return err
	}
	// Nothing follows the header before wordReady is sent, so no file is read here.
	response, err := http.ReadResponse(bufio.NewReader(i.former), request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusSwitchingProtocols:
		return nil
	case http.StatusNotFound:
		return errors.New("it is of a version that cannot hand over")
	}
	var f api.Failure
	if err := json.NewDecoder(io.LimitReader(response.Body, api.MaxBody)).Decode(&f); err != nil {
		return fmt.Errorf("it answered %s", response.Status)
	}
	return f.Err()
}

// accept tells the former agent that this one serves, and returns a function that
// returns when the former has ended.
func (i *predecessor) accept() (gone func(), err error) {
	i.sockets.CloseUnused()
	if _, err := i.former.Write([]byte{wordServes}); err != nil {
		return nil, fmt.Errorf("taking over: %w", err)
	}
	if err := i.former.SetDeadline(time.Now().Add(requestGrace + farewellTimeout + handoverTimeout)); err != nil {
		return nil, fmt.Errorf("taking over: %w", err)
	}
	return func() {
		defer i.former.Close()
		// It says nothing any more: this ends with it.
		_, _ = i.former.Read(make([]byte, 1))
	}, nil
}
