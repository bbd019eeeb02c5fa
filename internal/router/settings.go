// SPDX-License-Identifier: MPL-2.0

package router

import (
	"net/netip"
	"time"
)

// Settings are what can be changed about a router while it serves. The zero value sets no
// limit and trusts nobody.
type Settings struct {
	// ResponseTimeout is how long a replica may take from the end of a request to the head
	// of its answer; 0 sets no limit. The client of one that takes longer gets a 504.
	ResponseTimeout time.Duration
	// MaxBody is how many bytes the body of a request may have; 0 sets no limit. The client
	// of a longer one gets a 413.
	MaxBody int64
	// TrustedProxies are the proxies in front of the router. What they say about their
	// clients in X-Forwarded-* and Forwarded is passed on.
	TrustedProxies []netip.Prefix
	// AccessLog gets a line for every request; nil for none.
	AccessLog *AccessLog
}

// Configure changes the settings. Requests that begin after it has returned keep to them.
func (r *Router) Configure(s Settings) { r.settings.Store(&s) }
