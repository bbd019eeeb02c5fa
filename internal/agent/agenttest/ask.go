// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agenttest

import (
	"context"
	"net"
	"net/http"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Ask sends a replica a request of its own, which the router does not see.
func Ask(ctx context.Context, p bluegreen.Workloads, instance bluegreen.Instance, path string) error {
	replica := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return p.Dial(ctx, instance) },
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://replica"+path, nil)
	if err != nil {
		return err
	}
	response, err := replica.Do(request)
	if err == nil {
		response.Body.Close()
	}
	return err
}
