// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

// predecessor is the agent that this one takes over from, and what it has handed
// over; see handover.go.
type predecessor struct {
	conn net.Conn
	lock *os.File
	// sockets are those that clients connect to.
	sockets socket.HandedOver
	// isOlder is set if it is of a version that does not tell when it has let go.
	isOlder bool
}

// takeOver asks the agent of dir for everything that it has.
func takeOver(ctx context.Context, dir store.Dir) (*predecessor, error) {
	conn, err := api.Dial(ctx, dir)
	if err != nil {
		return nil, err
	}
	p := &predecessor{conn: conn}
	if err := p.receive(ctx); err != nil {
		p.sockets.CloseUnused()
		conn.Close()
		return nil, fmt.Errorf("taking over from the agent that runs: %w", err)
	}
	return p, nil
}

func (p *predecessor) receive(ctx context.Context) error {
	if err := p.conn.SetDeadline(time.Now().Add(handoverTimeout)); err != nil {
		return err
	}
	if err := p.ask(ctx); err != nil {
		return err
	}
	if _, err := p.conn.Write([]byte{messageReady}); err != nil {
		return err
	}
	files, ok := p.conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("unexpected connection type %T", p.conn)
	}
	for p.lock == nil {
		message, file, err := receiveFile(files)
		if err != nil {
			return err
		}
		if message == messageLock {
			p.lock = file
			continue
		}
		listener, err := net.FileListener(file)
		file.Close()
		if err != nil {
			return err
		}
		tcp, ok := listener.(*net.TCPListener)
		if !ok {
			return errors.Join(fmt.Errorf("unexpected listener type %T", listener), listener.Close())
		}
		p.sockets.Add(tcp)
	}
	return nil
}

// ask returns once the former agent has agreed. Agents of different versions hand
// over to each other, so the request names no version of the API.
func (p *predecessor) ask(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent/v1/handover", nil)
	if err != nil {
		return err
	}
	request.Header.Set(handoverHeader, handoverVersion)
	if err := request.Write(p.conn); err != nil {
		return err
	}
	// Nothing follows the header before messageReady is sent, so no file is read here.
	response, err := http.ReadResponse(bufio.NewReader(p.conn), request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusSwitchingProtocols:
		p.isOlder = response.Header.Get(handoverHeader) == ""
		return nil
	case http.StatusNotFound:
		return errors.New("its version does not support a hand-over; it keeps running: stop it, then start this one")
	}
	var f api.Failure
	if err := json.NewDecoder(io.LimitReader(response.Body, api.MaxBody)).Decode(&f); err != nil {
		return fmt.Errorf("it answered %s", response.Status)
	}
	return f.Err()
}

// confirm tells the predecessor that this agent serves.
func (p *predecessor) confirm() error {
	p.sockets.CloseUnused()
	if _, err := p.conn.Write([]byte{messageServes}); err != nil {
		return fmt.Errorf("taking over: %w", err)
	}
	return nil
}

// awaitLetGo returns once the predecessor has let the replicas go. It reports whether the
// predecessor can be asked what it has in flight. It is an error if the predecessor goes on.
func (p *predecessor) awaitLetGo(ctx context.Context, dir store.Dir, log *slog.Logger) (isFormer bool, err error) {
	if p.isOlder {
		// It has no replicas that are processes.
		return false, nil
	}
	// What it does now it cannot take back, so it may take as long as it needs.
	err = p.conn.SetDeadline(time.Time{})
	message := make([]byte, 1)
	if err == nil {
		_, err = p.conn.Read(message)
	}
	if err == nil {
		return message[0] == messageFormer, nil
	}
	if askWhoServes(ctx, dir) == nil {
		return false, fmt.Errorf("taking over: the agent before goes on: %w", err)
	}
	log.Error("the agent before has ended without letting its replicas go; they are supervised now", "error", err)
	return false, nil
}

// tellPlaced tells the predecessor that this agent has its place: nobody connects to the
// predecessor any more.
func (p *predecessor) tellPlaced() {
	// An error says that it has ended.
	_, _ = p.conn.Write([]byte{messagePlaced})
}

// awaitEnd returns when the predecessor has ended.
func (p *predecessor) awaitEnd() {
	defer p.conn.Close()
	// The predecessor sends nothing any more, so the read ends when it ends.
	_ = p.conn.SetDeadline(time.Now().Add(requestGrace + formerVersionTimeout + handoverTimeout))
	_, _ = p.conn.Read(make([]byte, 1))
}
