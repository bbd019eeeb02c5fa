// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"cmp"
	"context"
	"net"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/socket"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// openFrontend makes the frontend, which does not listen yet, and its access logs.
func (d *deployment) openFrontend(a *agent, dir string) {
	d.frontend = frontend.New(
		d.ledger.Current().Frontend, a.receivedSockets(), a.descriptors, d.metrics, d.reportFailure, d.log,
	)
	d.frontend.KeepIn(a.manager)
	d.frontend.DialWith(func(ctx context.Context, env bluegreen.Environment, b router.Backend) (net.Conn, error) {
		return d.environments[env].dial(ctx, b)
	})
	d.accessLog = newAccessLogFile(dir, a.dir.checkPresent)
	d.frontend.LogTo(map[store.AccessLog]*router.AccessLog{
		store.AccessLogFile:   router.NewAccessLog(d.accessLog),
		store.AccessLogStdout: router.NewAccessLog(os.Stdout),
	})
}

// reopen listens where the deployment did before. An address that another program
// has taken meanwhile is tried again until it is free. Live does not wait for the preview.
func (d *deployment) reopen() {
	err := d.listen()
	if err == nil {
		return
	}
	d.log.Error("not listening", "error", err)
	go func() {
		_, _ = backoff.Retry(d.closing, func() (struct{}, error) { return struct{}{}, d.listen() },
			backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
				d.log.Warn("still not listening", "error", err)
			}))
	}()
}

// listen listens where nothing of the deployment does yet. The error says who has an address.
func (d *deployment) listen() error {
	liveErr, previewErr := d.tryListen()
	// Nobody waits while it is found out who that is.
	liveErr, previewErr = socket.NameHolder(liveErr), socket.NameHolder(previewErr)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listenErr = liveErr
	return cmp.Or(liveErr, previewErr)
}

func (d *deployment) tryListen() (liveErr, previewErr error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.frontend.IsComplete() || d.closing.Err() != nil {
		return nil, nil
	}
	change, err := d.frontend.PrepareAgain()
	if err != nil {
		return err, nil
	}
	if change.PreviewErr == nil || !d.frontend.IsOpen() {
		d.frontend.Apply(change, d.ledger.Current().Ledger, d.candidates())
	}
	return nil, change.PreviewErr
}

// outage says why no client reaches live, "" if clients do or nothing is live.
func (d *deployment) outage() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.ledger.Current().Ledger.IsServing() || d.frontend.IsOpen():
		return ""
	case d.listenErr == nil:
		return "the agent does not listen for clients yet"
	default:
		return d.listenErr.Error()
	}
}
