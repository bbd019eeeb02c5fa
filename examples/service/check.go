// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// patience is the longest that an answer to a check may take.
const patience = 2 * time.Second

// check asks a service whether it is well, as the HEALTHCHECK of its image does
// from inside the container.
func check(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
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

// ownAddress is where a service with these settings is reached from beside it.
func ownAddress(port string) string { return net.JoinHostPort("127.0.0.1", port) }
