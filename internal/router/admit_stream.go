// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"net/http"
)

// streamAdmission is Options.AdmitStream.
type streamAdmission func(ctx context.Context) (leave func(), ok bool)

// await waits until there is room for a request, and returns what must be called when it is
// over. A request over HTTP/1.1 has the room of its client. Those of gRPC share a connection
// to the replica.
func (admit streamAdmission) await(r *http.Request) (leave func()) {
	if admit != nil && r.ProtoMajor >= 2 && !isGRPC(r) {
		if leave, ok := admit(r.Context()); ok {
			return leave
		}
		// The client has gone, and what comes next sees that.
	}
	return func() {}
}
