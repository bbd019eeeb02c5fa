// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// poll calls check until it returns nil or the timeout is over. It then returns the last
// error of check. It is for changes without an event.
func poll(ctx context.Context, timeout time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// api returns the URL of a path of the API.
func (c *cluster) api(path string) string {
	return "https://" + c.Local(c.Ports.APIServer) + path
}

// probeURL returns a probe that fails unless url answers with 200.
func (c *cluster) probeURL(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := c.fetch(ctx, url)
		return err
	}
}

// fetch returns the content of url. It uses the node's certificate and the administrator's
// token.
func (c *cluster) fetch(ctx context.Context, url string) ([]byte, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	users, err := readUsers(c.Tokens)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+users.admin)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %.500s", url, response.Status, body)
	}
	return body, nil
}

func (c *cluster) client() (*http.Client, error) {
	certificate, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(c.Certificate)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}},
		},
	}, nil
}

// checkNodeReady returns an error unless the node can run pods.
func (c *cluster) checkNodeReady(ctx context.Context) error {
	body, err := c.fetch(ctx, c.api("/api/v1/nodes/"+c.Node))
	if err != nil {
		return err
	}
	var node struct {
		Spec struct {
			Taints []struct{ Key, Effect string }
		}
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := json.Unmarshal(body, &node); err != nil {
		return err
	}
	for _, taint := range node.Spec.Taints {
		return fmt.Errorf("the node accepts no pods: %s:%s", taint.Key, taint.Effect)
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type != "Ready" {
			continue
		}
		if condition.Status != "True" {
			return fmt.Errorf("the node is not ready: %s", condition.Message)
		}
		return nil
	}
	return errors.New("the node has not reported yet whether it is ready")
}
