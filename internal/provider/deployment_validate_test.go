// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// A watch that certainly is cut short is refused. One that is cut short only if the health
// check needs all its attempts gets a warning, because the apply works without them.
func TestBakeTimeMustFitAfterTheHealthCheck(t *testing.T) {
	t.Parallel()
	unknown := durationValue{timetypes.NewGoDurationUnknown()}
	for name, c := range map[string]struct {
		bake     durationValue
		settings healthSettings
		// wantError and wantWarning are in the detail of the only diagnostic.
		wantError, wantWarning string
	}{
		"the defaults": {durationValue{timetypes.NewGoDurationNull()}, attempts(4, 30*time.Second), "", ""},
		"all of it fits to the second": {
			newDuration(28 * time.Minute), attempts(4, 30*time.Second), "", "",
		},
		"the last attempt does not fit": {
			newDuration(25 * time.Minute), attempts(4, 2*time.Minute),
			"", "up to 4 attempts of the health check may take 2m0s each of the 30m0s that timeouts.update allows",
		},
		"no watch": {newDuration(0), attempts(4, 7*time.Minute), "", ""},
		"a watch of the whole time": {
			newDuration(31 * time.Minute), attempts(1, time.Second),
			"is 31m0s, but timeouts.update", "",
		},
		"the passes that a replica needs do not fit": {
			newDuration(25 * time.Minute), passes(400), "takes at least 6m", "",
		},
		"the passes just fit": {
			newDuration(25 * time.Minute), passes(300),
			"", "up to 1 attempts of the health check may take 20m0s each",
		},
		"the passes alone do not fit": {newDuration(0), passes(400), "", ""},
		"a watch that is not known":   {unknown, passes(400), "", ""},
		"a check that is not known": {
			newDuration(25 * time.Minute),
			healthSettings{checks: passes(400).checks, timeout: time.Hour, hasUnknownTimes: true}, "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := deploymentModel{BakeTime: c.bake}.checkBakeTime("update", 30*time.Minute, c.settings)
			if want := c.wantError + c.wantWarning; want == "" {
				if len(found) > 0 {
					t.Errorf("it is found wrong: %v", found)
				}
				return
			}
			if len(found) != 1 || found.HasError() != (c.wantError != "") ||
				!strings.Contains(found[0].Detail(), "Attribute bake_time ") ||
				!strings.Contains(found[0].Detail(), c.wantError+c.wantWarning) {
				t.Errorf("found is %v", found)
			}
		})
	}
}

// attempts are settings whose check may take this often this long.
func attempts(n int, each time.Duration) healthSettings {
	return healthSettings{timeout: each, retries: n - 1}
}

// passes are settings in which a replica must pass n probes, a second apart.
func passes(n int) healthSettings {
	return healthSettings{
		timeout: 20 * time.Minute,
		checks:  health.Config{HealthyThreshold: n, Interval: time.Second},
	}
}

// What cleans up after a failed release waits for replicas that ignore their stop signal.
func TestCleaningUpHasTheStopTimeout(t *testing.T) {
	t.Parallel()
	block, ok := deploymentSchema(t.Context()).Attributes[kindLocal].GetType().(types.ObjectType)
	if !ok {
		t.Fatal("the local block is no object")
	}
	values := map[string]attr.Value{}
	for name, kind := range block.AttrTypes {
		value, err := kind.ValueFromTerraform(t.Context(), tftypes.NewValue(kind.TerraformType(t.Context()), nil))
		if err != nil {
			t.Fatal(err)
		}
		values[name] = value
	}
	values["stop_timeout"] = newDuration(2 * time.Minute)
	var m deploymentModel
	m.Local = types.ObjectValueMust(block.AttrTypes, values)
	if got := m.config(healthSettings{}).StopTimeout; got != 2*time.Minute {
		t.Errorf("the stop timeout is %s", got)
	}
}
