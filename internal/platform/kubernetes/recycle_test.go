// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// recycling returns a shop with a standby, and who operates it behind a network.
func recycling(t *testing.T) (s, operator *shop, net *network) {
	t.Helper()
	client, net := throughNetwork(t)
	s = newShop(t, func(o *Options) { o.RecycleStandby = true })
	s.live("1.0.0", 1)
	s.live("2.0.0", 1)
	return s, openShop(t, client, s.platform.opts), net
}

// A standby that could not be recycled when the traffic was taken away from it is
// recycled with the next commit, and whoever looks is told.
func TestClusterRecyclingThatWasLostIsRepeated(t *testing.T) {
	t.Parallel()
	s, operator, net := recycling(t)
	var said []string
	operator.Progress = func(message string) { said = append(said, message) }
	net.catch(true, func(r *http.Request) bool {
		return r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/deployments/"+workloadName(s.Deployment, bluegreen.Blue))
	})
	s.must(operator.Rollback(t.Context(), "to see"))
	net.heal()
	s.serves("1.0.0")
	if !slices.ContainsFunc(said, func(message string) bool { return strings.Contains(message, "recycling the standby") }) {
		t.Errorf("nobody is told what was not done: %q", said)
	}
	s.tells("RolledBack", "Incomplete")

	want := s.desired("2.0.0", 1)
	want.Rollback = true
	s.must(s.apply(want))
	ledger, err := s.platform.Load(t.Context())
	s.must(err)
	live, _ := ledger.LiveRecord()
	if got := s.deployment(bluegreen.Blue).Spec.Template.Annotations[annotationRecycled]; got != live.ID {
		t.Errorf("the standby was recycled for %q, want %q", got, live.ID)
	}
}

// A standby that nobody is allowed to change holds up nothing that live needs.
func TestClusterStandbyThatCannotBeChanged(t *testing.T) {
	t.Parallel()
	s, operator, net := recycling(t)
	net.catch(true, func(r *http.Request) bool {
		return r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/deployments/"+workloadName(s.Deployment, bluegreen.Green))
	})
	err := operator.Scale(t.Context(), 2)
	net.heal()
	if err == nil || !strings.Contains(err.Error(), "scale of green") {
		t.Errorf("the standby is said to have followed: %v", err)
	}
	status, err := s.Status(t.Context())
	s.must(err)
	if live := status.Ledger.Slot(bluegreen.Blue).Release; live.Replicas != 2 || status.Running[bluegreen.Blue] != 2 {
		t.Errorf("of %d replicas %d run", live.Replicas, status.Running[bluegreen.Blue])
	}
	s.serves("2.0.0")
}
