// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"slices"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// runScenarios runs the scenarios of the engine on the platform behind h.
func runScenarios(t *testing.T, h Harness) {
	scenarios := map[string]func(*platformUnderTest){
		"initial_state":                              initialState,
		"deploy_to_staging":                          deployToStaging,
		"switch_after_deploy":                        switchAfterDeploy,
		"rollback":                                   rollback,
		"deploy_and_switch":                          deployAndSwitch,
		"health_check_required":                      healthCheckRequired,
		"cannot_deploy_while_busy":                   cannotDeployWhileBusy,
		"history_tracking":                           historyTracking,
		"cleanup_staging":                            cleanupStaging,
		"switch_without_deploy_fails":                switchWithoutDeployFails,
		"switch_unhealthy_fails":                     switchUnhealthyFails,
		"double_switch":                              doubleSwitch,
		"concurrent_safety":                          concurrentSafety,
		"rollback_no_previous":                       rollbackNoPrevious,
		"deploy_while_busy":                          deployWhileBusy,
		"switch_without_health":                      switchWithoutHealth,
		"rollback_needs_a_running_standby":           rollbackNeedsARunningStandby,
		"rollback_needs_a_healthy_standby":           rollbackNeedsAHealthyStandby,
		"automatic_rollback_needs_a_healthy_standby": automaticRollbackNeedsAHealthyStandby,
		"taken_back_stays_back":                      takenBackStaysBack,
		"rolled_back_is_no_target":                   rolledBackReleaseIsNoTarget,
		"failed_release_keeps_live":                  failedReleaseKeepsLive,
		"crash_ends_the_check":                       crashEndsTheCheck,
		"removed_after_the_check":                    removedAfterTheCheck,
		"restarted_after_the_check":                  restartedAfterTheCheck,
		"automatic_rollback":                         automaticRollback,
		"watch_of_the_first_release":                 watchOfTheFirstRelease,
		"preview_then_promote":                       previewThenPromote,
		"remove_standby":                             removeStandby,
		"scale_up_unhealthy":                         scaleUpUnhealthy,
		"scale_up_interrupted":                       scaleUpInterrupted,
		"interrupted_check":                          interruptedCheck,
		"interrupted_watch":                          interruptedWatch,
		"create_finds_an_existing_one":               createFindsAnExistingOne,
		"create_fails_and_leaves_nothing":            createFailsAndLeavesNothing,
		"stale_plan":                                 stalePlan,
		"repair":                                     repair,
		"secrets_stay_out":                           secretsStayOut,
		"short_secrets_cannot_be_guessed":            shortSecretsCannotBeGuessed,
	}
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario(newPlatformUnderTest(t, h, deploymentName(t)))
		})
	}
}

// healthy returns a release that passes its health check.
func (p *platformUnderTest) healthy(version string) bluegreen.Release {
	return p.harness.Release(version, Healthy)
}

// mustHaveStates fails the test unless the environments are in these states.
func (p *platformUnderTest) mustHaveStates(blue, green bluegreen.State) {
	p.Helper()
	l := p.ledger()
	if l.Blue.State != blue || l.Green.State != green {
		p.Fatalf("blue is %s and green is %s, want %s and %s", l.Blue.State, l.Green.State, blue, green)
	}
}

// mustHaveHistory fails the test unless these are the records, as "ID status", newest first.
func (p *platformUnderTest) mustHaveHistory(want ...string) {
	p.Helper()
	var got []string
	for _, r := range p.history() {
		got = append(got, r.ID+" "+string(r.Status))
	}
	if !slices.Equal(got, want) {
		p.Fatalf("the history is %q, want %q", got, want)
	}
}

// createEmpty makes a deployment without any release, and releases the lock.
func (p *platformUnderTest) createEmpty() {
	p.Helper()
	unlock, err := p.process.Lock(p.Context(), p.Actor)
	p.must(err)
	defer unlock()
	p.commitEmpty()
}
