// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// AccessLog writes a line of JSON for every request that has ended.
type AccessLog struct{ logger *slog.Logger }

// NewAccessLog returns a log that writes each line to w with one call of Write.
func NewAccessLog(w io.Writer) *AccessLog {
	options := slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		// The level and the message are the same for all.
		if len(groups) == 0 && (a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}}
	return &AccessLog{slog.New(slog.NewJSONHandler(w, &options))}
}

// write logs an exchange that has ended. The query is left out, because it often carries
// secrets. The status is 499 if the client did not wait for its answer.
func (l *AccessLog) write(x *exchange, duration time.Duration) {
	r := x.request
	replica, environment, version := "", "", ""
	if x.pool != nil {
		environment, version = string(x.pool.env), x.pool.version()
	}
	if x.upstream != nil {
		replica = x.upstream.ID
	}
	l.logger.LogAttrs(context.Background(), slog.LevelInfo, "",
		slog.String("client", clientOf(r).origin(r, x.settings.TrustedProxies)),
		slog.String("host", r.Host),
		slog.String("method", r.Method),
		slog.String("path", r.URL.EscapedPath()),
		slog.Int("status", x.status),
		slog.Int64("bytes", x.written),
		slog.Float64("duration", duration.Seconds()),
		slog.String("replica", replica),
		slog.String("environment", environment),
		slog.String("version", version),
		slog.String("request_id", x.requestID),
	)
}

// maxRequestID is how many characters of a client's request ID are accepted.
const maxRequestID = 128

const requestIDHeader = "X-Request-Id"

// requestIDOf returns the ID that the client has given its request, or a new one.
func requestIDOf(r *http.Request) string {
	if ids := r.Header[requestIDHeader]; len(ids) == 1 && ids[0] != "" && len(ids[0]) <= maxRequestID &&
		!strings.ContainsFunc(ids[0], func(c rune) bool { return isSpaceOrControl(c) || c > 0x7f }) {
		return ids[0]
	}
	// It need not be secret.
	id := binary.BigEndian.AppendUint64(make([]byte, 0, 16), rand.Uint64())     //nolint:gosec // see above
	return hex.EncodeToString(binary.BigEndian.AppendUint64(id, rand.Uint64())) //nolint:gosec // see above
}
