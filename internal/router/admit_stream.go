// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"net/http"
)

// streamAdmission is Options.AdmitStream.
type streamAdmission func(ctx context.Context) (leave func(), ok bool)

// await waits until there is room for a request, and returns what must be called when it is
// over. A client that was admitted has room for one request at a time. Those over HTTP/1.1 need
// no more. Over HTTP/2 others wait until that one is over, or until there is more room. Those of
// gRPC share a connection to the replica.
func (admit streamAdmission) await(r *http.Request) (leave func()) {
	if admit == nil || r.ProtoMajor < 2 || isGRPC(r) {
		return func() {}
	}
	own := clientOf(r).room
	leaveOwn := func() { <-own }
	select {
	case own <- struct{}{}:
		return leaveOwn
	default:
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	further := make(chan func(), 1)
	go func() {
		leave, ok := admit(ctx)
		if !ok {
			// The client has gone, or the request has its room. What comes next sees that.
			leave = func() {}
		}
		further <- leave
	}()
	select {
	case own <- struct{}{}:
		cancel()
		// There may have been more room at the same moment.
		(<-further)()
		return leaveOwn
	case leave := <-further:
		return leave
	}
}
