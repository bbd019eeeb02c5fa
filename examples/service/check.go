// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// checkTimeout is how long the answer to a check may take.
const checkTimeout = 2 * time.Second

// check returns an error unless the service at address is healthy. The HEALTHCHECK of the
// service's image runs it inside the container.
func check(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET /healthz: %s", response.Status)
	}
	return nil
}

// ownAddress returns the address of a service on this machine.
func ownAddress(port string) string { return net.JoinHostPort("127.0.0.1", port) }
