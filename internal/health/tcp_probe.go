// SPDX-License-Identifier: MPL-2.0

package health

import (
	"context"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func (t *TCP) check() (check, error) {
	if err := checkPort("tcp.port", t.Port); err != nil {
		return check{}, err
	}
	return check{name: "tcp", subject: "connect", probe: tcpProbe{t.Port}.run}, nil
}

// tcpProbe passes when the instance accepts a connection.
type tcpProbe struct{ port int }

func (p tcpProbe) run(ctx context.Context, target bluegreen.Target) error {
	conn, err := dial(ctx, target, p.port)
	if err != nil {
		return err
	}
	// The check is whether the instance accepts the connection, so an error here is ignored.
	_ = conn.Close()
	return nil
}
