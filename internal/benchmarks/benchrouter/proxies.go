// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The names of the targets.
const (
	ours    = "ours"
	bare    = "bare"
	caddy   = "caddy"
	nginx   = "nginx"
	haproxy = "haproxy"
	direct  = "direct"
)

// startTimeout is how long a proxy may take until it accepts connections.
const startTimeout = 10 * time.Second

// target answers requests: a proxy, or the replica itself.
type target struct {
	name, address string
	// session is the session that all processes of the target are in.
	session int
	stop    func()
}

// proxy is how another proxy is started: the program of that name, with a configuration. It has
// the settings of a common installation, and like ours it keeps connections and tells the
// replica the client's address. In the configuration, ADDRESS and REPLICA stand for where
// they listen, and DIR for a directory.
type proxy struct {
	name          string
	configuration string
	arguments     func(file string) []string
}

// proxies are the other proxies.
var proxies = []proxy{
	{caddy, `{
	"admin": { "disabled": true, "config": { "persist": false } },
	"apps": { "http": { "servers": { "web": {
		"listen": ["ADDRESS"],
		"automatic_https": { "disable": true },
		"routes": [{ "handle": [{ "handler": "reverse_proxy", "upstreams": [{ "dial": "REPLICA" }] }] }]
	} } } }
}
`, func(file string) []string { return []string{"run", "--config", file} }},

	{nginx, `daemon off;
worker_processes auto;
worker_rlimit_nofile 20000;
pid DIR/nginx.pid;
events {
	worker_connections 10000;
}
http {
	access_log off;
	keepalive_timeout 300s;
	keepalive_requests 1000000000;
	client_body_temp_path DIR/nginx-body;
	proxy_temp_path DIR/nginx-proxy;
	fastcgi_temp_path DIR/nginx-fastcgi;
	uwsgi_temp_path DIR/nginx-uwsgi;
	scgi_temp_path DIR/nginx-scgi;
	upstream replica {
		server REPLICA;
		keepalive 64;
		keepalive_requests 1000000000;
	}
	server {
		listen ADDRESS;
		location / {
			proxy_pass http://replica;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $host;
			proxy_set_header X-Forwarded-For $remote_addr;
			proxy_set_header X-Forwarded-Host $host;
			proxy_set_header X-Forwarded-Proto $scheme;
		}
	}
}
`, func(file string) []string { return []string{"-e", "stderr", "-p", filepath.Dir(file), "-c", file} }},

	{haproxy, `global
	maxconn 5000
defaults
	mode http
	option forwardfor
	timeout connect 5s
	timeout client 300s
	timeout server 300s
frontend web
	bind ADDRESS
	default_backend replica
backend replica
	server replica REPLICA
`, func(file string) []string { return []string{"-db", "-f", file} }},
}

// errMissing is the error of a proxy that is not installed.
var errMissing = errors.New("it is not installed")

// start starts the proxy in front of replica. Its files are in dir.
func (p proxy) start(ctx context.Context, dir, replica string) (target, error) {
	program, err := exec.LookPath(p.name)
	if err != nil {
		return target{}, errMissing
	}
	address, err := freeAddress()
	if err != nil {
		return target{}, err
	}
	file := filepath.Join(dir, p.name+".conf")
	names := strings.NewReplacer("ADDRESS", address, "REPLICA", replica, "DIR", dir)
	if err := os.WriteFile(file, []byte(names.Replace(p.configuration)), 0o600); err != nil {
		return target{}, err
	}
	return startTarget(ctx, p.name, address, program, p.arguments(file)...)
}

// startBare starts the proxy of the standard library in front of replica.
func startBare(ctx context.Context, replica string) (target, error) {
	self, err := os.Executable()
	if err != nil {
		return target{}, err
	}
	address, err := freeAddress()
	if err != nil {
		return target{}, err
	}
	return startTarget(ctx, bare, address, self, "bare", address, replica)
}

// startTarget starts a program and waits until it accepts connections at address.
func startTarget(ctx context.Context, name, address, program string, arguments ...string) (target, error) {
	session, stop, err := start(program, arguments...)
	if err != nil {
		return target{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
			return target{name: name, address: address, session: session, stop: stop}, nil
		}
		select {
		case <-ctx.Done():
			stop()
			return target{}, fmt.Errorf("%s accepts no connections at %s: %w", name, address, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
