// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"net/http"
	"sync/atomic"
	"time"
)

// clock follows the cluster's clock. It reads the Date of the cluster's answers.
type clock struct {
	// offset is how far the cluster is ahead of this machine.
	offset atomic.Int64
}

func (c *clock) read(header http.Header, now time.Time) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return
	}
	// The header has whole seconds. Clocks that differ by less are taken as equal.
	if ahead := date.Sub(now); ahead > 0 || ahead < -time.Second {
		c.offset.Store(int64(ahead))
	} else {
		c.offset.Store(0)
	}
}

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())).UTC() }
