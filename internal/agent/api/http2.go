// SPDX-License-Identifier: MPL-2.0

package api

import (
	"net/http"
	"time"
)

const (
	// pingAfter is how long a connection may be silent before a ping is sent, pingTimeout
	// how long the answer may take. A connection without an answer is closed, and the
	// locks that it holds end.
	pingAfter   = 15 * time.Second
	pingTimeout = 15 * time.Second
	// maxStreams is how many requests a client may have open on its connection. Locks and
	// dialled replicas count. It is far more than any host needs.
	maxStreams = 10_000
)

// HTTP2Config returns settings that find connections that broke without being closed.
func HTTP2Config() *http.HTTP2Config {
	return &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, MaxConcurrentStreams: maxStreams}
}
