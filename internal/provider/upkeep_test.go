// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// A replica falls ill after the apply. It leaves the traffic after as many failed probes as
// the configuration says, the plan shows it, and an apply starts it again.
func TestUnhealthyReplicaIsShownAndRepaired(t *testing.T) {
	t.Parallel()
	name, p := claimLocal(t)
	testUnhealthyReplica(&harness{t: t, name: name, platformUnderTest: p})
}

func TestDockerUnhealthyReplicaIsShownAndRepaired(t *testing.T) {
	t.Parallel()
	name, p := claimDocker(t)
	testUnhealthyReplica(&harness{t: t, name: name, platformUnderTest: p})
}

func testUnhealthyReplica(h *harness) {
	h.t.Helper()
	// The default is 3.
	const threshold = 6
	config := h.config(attributes{
		"replicas": "2",
		"health_check": fmt.Sprintf(`{ http = { path = "/healthz" }, interval = "1s", unhealthy_threshold = %d }`,
			threshold),
	})
	ready := []string{"environments", "green", "ready_replicas"}
	h.run(
		resource.TestStep{Config: config, ConfigStateChecks: []statecheck.StateCheck{stateHas(number(2), ready...)}},
		resource.TestStep{
			PreConfig: func() { h.makeReplicaIll(threshold) },
			Config:    config,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate),
				planStartsFrom{number(1), at(ready...)}, planHasUnknown(ready...),
			}},
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0"), stateHas(number(2), ready...)},
		},
		resource.TestStep{
			PreConfig: func() { h.requireNoFailure() },
			Config:    config,
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{planIs(plancheck.ResourceActionNoop)},
			},
		},
	)
}

// tellLive sends one live replica a request that changes its behavior.
func (h *harness) tellLive(path string) {
	h.t.Helper()
	response, err := http.Post(h.status().Endpoint+path, "", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	response.Body.Close()
}

// makeReplicaIll makes one of two live replicas ill, and waits until it is out of the
// traffic. It must have been in the traffic for more probes than the default threshold, and
// not for more than threshold.
func (h *harness) makeReplicaIll(threshold int) {
	h.t.Helper()
	h.tellLive("/fail")
	endpoint, seen := h.status().Endpoint, 0
	h.await(func() error {
		isOut := h.status().Unready[bluegreen.Green] == 1
		failed, err := failedProbes(endpoint)
		seen = max(seen, failed)
		if err == nil && !isOut {
			err = errors.New("the ill replica is still in the traffic")
		}
		return err
	})
	if seen <= bluegreen.DefaultConfig().UnhealthyThreshold || seen > threshold {
		h.t.Errorf("the replica answered a client after %d failed probes, with a threshold of %d", seen, threshold)
	}
	h.requireNoFailure()
}

// await calls condition again and again until it returns nil.
func (h *harness) await(condition func() error) {
	h.t.Helper()
	_, err := backoff.Retry(h.t.Context(), func() (struct{}, error) { return struct{}{}, condition() },
		backoff.WithBackOff(backoff.NewConstantBackOff(pollInterval)), backoff.WithMaxElapsedTime(waitLimit))
	if err != nil {
		h.t.Fatal(err)
	}
}

// requests are so many that each replica in the traffic answers some of them.
const requests = 10

// requireNoFailure makes requests to all replicas in the traffic.
func (h *harness) requireNoFailure() {
	h.t.Helper()
	endpoint := h.status().Endpoint
	for range requests {
		if _, err := failedProbes(endpoint); err != nil {
			h.t.Error(err)
		}
	}
}

// failedProbes makes a request. If an ill replica answers, it returns how many probes have
// failed there, and an error.
func failedProbes(endpoint string) (int, error) {
	response, err := http.Get(endpoint)
	if err != nil {
		return 0, err
	}
	response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return 0, nil
	}
	failed, err := strconv.Atoi(response.Header.Get("Failed-Probes"))
	return failed, errors.Join(err, errors.New("an ill replica answers"))
}

// planStartsFrom checks the value of an attribute that the plan shows as the present one.
type planStartsFrom struct {
	value knownvalue.Check
	path  tfjsonpath.Path
}

var _ plancheck.PlanCheck = planStartsFrom{}

func (c planStartsFrom) CheckPlan(
	_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse,
) {
	for _, change := range req.Plan.ResourceChanges {
		if change.Address == address {
			before, err := tfjsonpath.Traverse(change.Change.Before, c.path)
			if err == nil {
				err = c.value.CheckValue(before)
			}
			resp.Error = err
			return
		}
	}
	resp.Error = fmt.Errorf("the plan has no %s", address)
}
