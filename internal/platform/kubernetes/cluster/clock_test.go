// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestClockIsTheClusters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
			var c clock
			c.read(http.Header{"Date": {time.Now().Add(ahead).UTC().Format(http.TimeFormat)}}, time.Now())
			if off := time.Until(c.now()) - ahead; off > time.Second || off < -time.Second {
				t.Errorf("a cluster that is %s ahead is seen %s off", ahead, off)
			}
			c.read(http.Header{}, time.Now())
			if off := time.Until(c.now()) - ahead; off > time.Second || off < -time.Second {
				t.Errorf("an answer without a date changes the clock by %s", off)
			}
		}
	})
}
