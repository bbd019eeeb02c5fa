// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestLeaseRunsOut(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	holder, nobody, seconds := "ann@host (pid 1)", "", int32(15)
	renewed := metav1.NewMicroTime(noon)
	held := coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &renewed, LeaseDurationSeconds: &seconds}
	given := held
	given.HolderIdentity = &nobody
	neverRenewed := coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds}
	cases := map[string]struct {
		spec  coordinationv1.LeaseSpec
		after time.Duration
		want  bool
	}{
		"just renewed":      {held, 0, false},
		"within its time":   {held, 15 * time.Second, false},
		"after its time":    {held, 15*time.Second + 1, true},
		"by a later clock":  {held, -time.Hour, false},
		"without holder":    {given, 0, true},
		"never written":     {coordinationv1.LeaseSpec{}, 0, true},
		"without a renewal": {neverRenewed, 0, true},
	}
	for name, c := range cases {
		if got := isExpired(c.spec, noon.Add(c.after)); got != c.want {
			t.Errorf("%s: isExpired is %t", name, got)
		}
	}
}
