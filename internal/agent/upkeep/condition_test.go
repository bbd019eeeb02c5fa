// SPDX-License-Identifier: MPL-2.0

package upkeep

import (
	"testing"
	"time"
)

// Each story is a row of results: p is a passed probe, f a failed one, and a digit that
// many failed requests in a row. wants says after each whether the replica is healthy.
func TestConditionFollowsResultsInARow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		thresholds     Thresholds
		hasPassed      bool
		results, wants string
	}{
		"three failures in a row":             {Thresholds{3, 1}, true, "fff", "++-"},
		"a pass between":                      {Thresholds{3, 1}, true, "ffpff", "+++++"},
		"one pass is enough":                  {Thresholds{3, 1}, true, "fffp", "++-+"},
		"two passes in a row":                 {Thresholds{1, 2}, true, "fpfpp", "----+"},
		"it flaps":                            {Thresholds{2, 1}, true, "fpfpffpff", "+++++-++-"},
		"one failure of a new run":            {Thresholds{3, 1}, false, "fp", "-+"},
		"a new run that has passed":           {Thresholds{3, 1}, false, "pff", "+++"},
		"three failed requests":               {Thresholds{3, 1}, true, "123p", "++-+"},
		"failed requests of a new run":        {Thresholds{3, 1}, false, "12", "++"},
		"failed requests end a row of passes": {Thresholds{3, 2}, true, "fffp3pp", "++----+"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			condition := condition{hasPassed: c.hasPassed}
			for i, result := range c.results {
				wasUnhealthy, changed := condition.isUnhealthy, false
				switch result {
				case 'p':
					changed = condition.pass(c.thresholds)
				case 'f':
					changed = condition.fail(c.thresholds, "refused", now)
				default:
					changed = condition.failRequests(c.thresholds, int(result-'0'), "broken off", now)
				}
				if condition.isUnhealthy != (c.wants[i] == '-') || changed != (condition.isUnhealthy != wasUnhealthy) {
					t.Errorf("after %s: unhealthy %t, changed %t", c.results[:i+1], condition.isUnhealthy, changed)
				}
				if (condition.cause != "") != condition.isUnhealthy {
					t.Errorf("after %s the cause is %q", c.results[:i+1], condition.cause)
				}
			}
		})
	}
}
