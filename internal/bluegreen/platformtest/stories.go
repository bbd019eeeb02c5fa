// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"slices"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// runStories tells the stories of the engine on the platform behind harness.
func runStories(t *testing.T, h Harness) {
	stories := map[string]func(*world){
		"initial_state":                   initialState,
		"deploy_to_staging":               deployToStaging,
		"switch_after_deploy":             switchAfterDeploy,
		"rollback":                        rollback,
		"deploy_and_switch":               deployAndSwitch,
		"health_check_required":           healthCheckRequired,
		"cannot_deploy_while_busy":        cannotDeployWhileBusy,
		"history_tracking":                historyTracking,
		"cleanup_staging":                 cleanupStaging,
		"switch_without_deploy_fails":     switchWithoutDeployFails,
		"switch_unhealthy_fails":          switchUnhealthyFails,
		"double_switch":                   doubleSwitch,
		"concurrent_safety":               concurrentSafety,
		"rollback_no_previous":            rollbackNoPrevious,
		"deploy_while_busy":               deployWhileBusy,
		"switch_without_health":           switchWithoutHealth,
		"rollback_needs_a_living_standby": rollbackNeedsALivingStandby,
		"rolled_back_is_no_target":        rolledBackIsNoTarget,
		"failed_release_keeps_live":       failedReleaseKeepsLive,
		"crash_ends_the_check":            crashEndsTheCheck,
		"dead_after_the_check":            deadAfterTheCheck,
		"started_again_after_the_check":   startedAgainAfterTheCheck,
		"automatic_rollback":              automaticRollback,
		"bake_without_previous":           bakeWithoutPrevious,
		"preview_then_promote":            previewThenPromote,
		"remove_standby":                  removeStandby,
		"scale_up_unhealthy":              scaleUpUnhealthy,
		"scale_up_interrupted":            scaleUpInterrupted,
		"interrupted_check":               interruptedCheck,
		"interrupted_watch":               interruptedWatch,
		"create_finds_a_living_one":       createFindsALivingOne,
		"create_fails_clean":              createFailsClean,
		"stale_plan":                      stalePlan,
		"repair":                          repair,
		"secrets_stay_out":                secretsStayOut,
	}
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(begin(t, h, deploymentName(t)))
		})
	}
}

func (w *world) healthy(version string) bluegreen.Release { return w.harness.Release(version, Healthy) }

// states fails the test unless the environments are in these states.
func (w *world) states(blue, green bluegreen.State) {
	w.Helper()
	l := w.ledger()
	if l.Blue.State != blue || l.Green.State != green {
		w.Fatalf("blue is %s and green is %s, want %s and %s", l.Blue.State, l.Green.State, blue, green)
	}
}

// statuses fails the test unless the history, newest first, is made of these "ID status".
func (w *world) statuses(want ...string) {
	w.Helper()
	var got []string
	for _, r := range w.history() {
		got = append(got, r.ID+" "+string(r.Status))
	}
	if !slices.Equal(got, want) {
		w.Fatalf("the history is %q, want %q", got, want)
	}
}

// exist makes the deployment exist, with nothing in it.
func (w *world) exist() {
	w.Helper()
	unlock, err := w.process.Lock(w.Context(), w.Actor)
	w.must(err)
	defer unlock()
	l := bluegreen.NewLedger(w.name)
	l.Generation, l.HistoryLimit = 1, 10
	w.must(w.process.Commit(w.Context(), l, nil))
}
