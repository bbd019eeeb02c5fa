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

// poll asks until there is nothing to complain about or the time is over, and
// returns the last complaint. None of those asked can tell us by themselves.
func poll(ctx context.Context, most time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	var last error
	for {
		err := ask(ctx)
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

// api is the URL of a path of the API.
func (c *cluster) api(path string) string {
	return "https://" + c.Local(c.Ports.APIServer) + path
}

// get is a probe: url answers with 200.
func (c *cluster) get(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := c.fetch(ctx, url)
		return err
	}
}

// fetch reads url as the node does: with its certificate and the administrator's token.
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

// nodeReady says what keeps pods from running on the node.
func (c *cluster) nodeReady(ctx context.Context) error {
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
		return fmt.Errorf("the node takes no pods: %s:%s", taint.Key, taint.Effect)
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
	return errors.New("the node has not said yet whether it is ready")
}
