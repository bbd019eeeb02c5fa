// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// serveBare serves a proxy of the standard library until ctx ends. Its arguments are the
// address to listen on and the address of the replica.
func serveBare(ctx context.Context, arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: bare LISTEN REPLICA")
	}
	server := &http.Server{
		Addr:              arguments[0],
		Handler:           newBareProxy(arguments[1]),
		ReadHeaderTimeout: time.Minute,
	}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the bare proxy: %w", err)
	}
	return nil
}

// newBareProxy returns the fastest proxy that can be made from the standard library alone. It
// keeps the connections to the replica, reuses its buffers, and sets X-Forwarded-*, as the
// router does.
func newBareProxy(replica string) *httputil.ReverseProxy {
	target := &url.URL{Scheme: "http", Host: replica}
	return &httputil.ReverseProxy{
		Transport:  &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true},
		BufferPool: new(buffers),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
	}
}

// buffers is a pool of buffers to copy bodies with.
type buffers struct{ pool sync.Pool }

var _ httputil.BufferPool = (*buffers)(nil)

func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }
