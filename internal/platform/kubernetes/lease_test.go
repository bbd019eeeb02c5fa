// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestLeaseRunsOut(t *testing.T) {
	t.Parallel()
	holder, nobody, seconds := "ann@host (pid 1)", "", int32(15)
	renewed := metav1.NewMicroTime(noon)
	held := coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &renewed, LeaseDurationSeconds: &seconds}
	given := held
	given.HolderIdentity = &nobody
	cases := map[string]struct {
		spec  coordinationv1.LeaseSpec
		after time.Duration
		want  bool
	}{
		"just renewed":      {held, 0, false},
		"within its time":   {held, 15 * time.Second, false},
		"after its time":    {held, 15*time.Second + 1, true},
		"by a later clock":  {held, -time.Hour, false},
		"held by nobody":    {given, 0, true},
		"never written":     {coordinationv1.LeaseSpec{}, 0, true},
		"without a renewal": {coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds}, 0, true},
	}
	for name, c := range cases {
		if got := expired(c.spec, noon.Add(c.after)); got != c.want {
			t.Errorf("%s: expired is %t", name, got)
		}
	}
}

func TestClockIsTheClusters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
			var c clock
			c.read(http.Header{"Date": {time.Now().Add(ahead).UTC().Format(http.TimeFormat)}}, time.Now())
			if off := time.Until(c.now()) - ahead; off > time.Second || off < -time.Second {
				t.Errorf("a cluster that is %s ahead is taken for %s off", ahead, off)
			}
			c.read(http.Header{}, time.Now())
			if off := time.Until(c.now()) - ahead; off > time.Second || off < -time.Second {
				t.Errorf("an answer without a date changes the clock by %s", off)
			}
		}
	})
}
