// SPDX-License-Identifier: MPL-2.0

package api

import (
	"net/http"
	"time"
)

const (
	// pingAfter is how long nothing need come over a connection before the other
	// side is asked whether it is there, pingTimeout how long it may take to say so.
	// A lock ends with its connection, and so also with a host that is gone.
	pingAfter   = 15 * time.Second
	pingTimeout = 15 * time.Second
	// maxStreams is how much a client may do at a time over its connection: locks and
	// dialled replicas count. It is far above what any host runs.
	maxStreams = 10_000
)

// pings finds connections that broke without being closed.
func HTTP2Config() *http.HTTP2Config {
	return &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, MaxConcurrentStreams: maxStreams}
}
