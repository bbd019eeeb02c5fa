// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestCallsAtTheSameTimeShareOneConnection(t *testing.T) {
	t.Parallel()
	c := newTunnel(t, newTestAgent(t).dir)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := c.Deployment(t.Context(), "web"); !errors.Is(err, bluegreen.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := c.opened.Load(); n != 1 {
		t.Errorf("it took %d connections", n)
	}
}

// A client that hangs up takes its locks along, and may come back.
func TestRemoteClientThatHangsUpHoldsNothing(t *testing.T) {
	t.Parallel()
	c := newTunnel(t, newTestAgent(t).dir)
	if _, err := c.Lock(t.Context(), "web", "somebody"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if c.child.ProcessState == nil {
		t.Error("its connection is there")
	}
	for {
		held, err := c.Lock(t.Context(), "web", "somebody")
		if err == nil {
			held.Unlock()
			return
		}
		var busy *bluegreen.LockedError
		if !errors.As(err, &busy) {
			t.Fatal(err)
		}
	}
}

func TestUnreachableHostIsReportedWithItsCause(t *testing.T) {
	t.Parallel()
	reason := errors.New("no route to host")
	c := client.NewRemote(func(context.Context) (net.Conn, error) { return nil, reason })
	_, err := c.Deployment(t.Context(), "web")
	if err != reason || client.IsUnavailable(err) { //nolint:errorlint // nothing is added to it
		t.Errorf("got %v", err)
	}
}

// The way to the agent may say why it leads nowhere, as a Docker engine does whose
// container ends just then. That is not the agent, so the call is tried again.
func TestWhatSpeaksInPlaceOfTheAgentIsRepeated(t *testing.T) {
	t.Parallel()
	c := client.NewRemote(func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			_, _ = io.WriteString(far, "cannot exec in a stopped state\r\n")
		}()
		return near, nil
	})
	t.Cleanup(c.Close)
	_, err := c.Lock(t.Context(), "web", "somebody")
	if !client.IsUnavailable(err) || !strings.Contains(err.Error(), "cannot exec in a stopped state") {
		t.Errorf("got %v", err)
	}
}
