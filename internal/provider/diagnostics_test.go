// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// Every failure says what happened, what serves, and what to do next.
func TestFailuresAreReported(t *testing.T) {
	t.Parallel()
	failure := func(kind bluegreen.Kind, phase string, cause error) error {
		return &bluegreen.Error{Kind: kind, Phase: phase, Environment: bluegreen.Blue, Cause: cause}
	}
	sickly := &bluegreen.UnhealthyError{Unhealthy: 1, Size: 3, Instances: []bluegreen.UnhealthyInstance{{
		Instance: bluegreen.Instance{ID: "blue-2"},
		Causes:   bluegreen.Verdict{"http": errors.New("GET /healthz: 503")},
		Logs:     []string{"connecting as " + secret, "refused"},
	}}}
	holder := &bluegreen.LockedError{
		Holder: bluegreen.Holder{Name: "ada@example pid 7", Since: time.Now().Add(-90 * time.Second)},
	}
	const serving = "The live environment was not touched: 1.0.0 still serves from green."

	for name, tt := range map[string]struct {
		err       error
		summary   string
		wantTexts []string
	}{
		"unhealthy": {
			failure(bluegreen.HealthCheckFailed, "health check", sickly), "The release is not healthy",
			[]string{
				"The health check of blue failed: 1 of 3 replicas unhealthy: replica blue-2: http: GET /healthz: 503.",
				"connecting as ***\n    refused",
				serving,
				"apply again",
			},
		},
		"a container that holds up its pod": {
			failure(bluegreen.DeployFailed, "deploy", &kubernetes.StartError{
				Pod: "web-blue-7f", Container: "migrate", Reason: "CrashLoopBackOff", Exit: "exit status 3",
				Logs: []string{"connecting as " + secret, "no such table"},
			}), "The release could not be started",
			[]string{
				`pod web-blue-7f, container "migrate": CrashLoopBackOff after exit status 3`,
				"The last lines of container \"migrate\" in pod web-blue-7f:\n    connecting as ***\n    no such table",
				serving,
			},
		},
		"unhealthy, and the cleaning up failed": {
			errors.Join(failure(bluegreen.HealthCheckFailed, "health check", sickly),
				errors.New("cleaning up blue: disk full; the next run finishes it")),
			"The release is not healthy",
			[]string{"GET /healthz: 503.\ncleaning up blue: disk full; the next run finishes it", serving},
		},
		"interrupted": {
			failure(bluegreen.Interrupted, "health check", context.Canceled), "The operation was interrupted",
			[]string{"It stopped at the health check of blue.\n", serving, "Apply again to continue"},
		},
		"interrupted at an unhealthy replica": {
			failure(bluegreen.Interrupted, "health check", fmt.Errorf("GET /healthz: 503: %w", context.Canceled)),
			"The operation was interrupted",
			[]string{"It stopped at the health check of blue: GET /healthz: 503.\n", serving},
		},
		"a failure inside another one": {
			fmt.Errorf("the next run: %w", errors.Join(errors.New("disk full"),
				failure(bluegreen.HealthCheckFailed, "health check", errors.New("GET /healthz: 503")))),
			"The release is not healthy",
			[]string{"The health check of blue failed: GET /healthz: 503.", serving},
		},
		"a failure behind another one": {
			errors.Join(failure(bluegreen.SwitchFailed, "switch", errors.New("no endpoints")),
				failure(bluegreen.InvalidState, "cleanup", errors.New("it is live"))),
			"Traffic could not be switched",
			[]string{
				"The switch of blue failed: no endpoints.\ncleanup of blue: not possible in this state: it is live",
				serving,
			},
		},
		"out of time": {
			failure(bluegreen.Timeout, "switch", context.DeadlineExceeded), "The operation took too long",
			[]string{"It stopped at the switch of blue", serving, "switch_timeout"},
		},
		"busy": {
			failure(bluegreen.EnvironmentBusy, "apply", holder), "The deployment is busy",
			[]string{
				"ada@example pid 7 has held the lock of the deployment since",
				"Nothing was touched.",
				"Apply again when that operation has ended",
			},
		},
		"busy for less than a second": {
			failure(bluegreen.EnvironmentBusy, "apply", &bluegreen.LockedError{
				Holder: bluegreen.Holder{Name: "ada@example pid 7", Since: time.Now().Add(time.Hour)},
			}),
			"The deployment is busy", []string{"Z.\n\nNothing was touched."},
		},
		"stale": {
			fmt.Errorf("%w: the deployment was changed after the plan was made", bluegreen.ErrPlanStale),
			"The plan is stale",
			[]string{
				"The plan is stale: the deployment was changed after the plan was made.",
				"Nothing was touched.",
				"Plan again",
			},
		},
		"there already": {
			bluegreen.ErrExists, "A deployment of this name exists already",
			[]string{"Nothing was touched.", "`terraform import ADDRESS web`"},
		},
		"a dead standby": {
			failure(bluegreen.RollbackFailed, "rollback", errors.New("0 of 2 replicas of the standby run")),
			"The rollback failed",
			[]string{"The rollback of blue failed: 0 of 2 replicas of the standby run.", serving, "rollback = false"},
		},
		"traffic that does not follow": {
			failure(bluegreen.SwitchFailed, "switch", errors.New("traffic did not reach blue")),
			"Traffic could not be switched",
			[]string{"The switch of blue failed: traffic did not reach blue.", serving},
		},
		"something else": {errors.New("disk full"), "The deployment was not updated", []string{"Disk full.", serving}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openWeb().failureDiagnostic("updated", tt.err, serving)
			if d.Summary() != tt.summary {
				t.Errorf("it is called %q, not %q", d.Summary(), tt.summary)
			}
			for _, part := range tt.wantTexts {
				if !strings.Contains(d.Detail(), part) {
					t.Errorf("it does not say %q:\n%s", part, d.Detail())
				}
			}
			if strings.Contains(d.Detail(), secret) {
				t.Errorf("it tells the secret:\n%s", d.Detail())
			}
		})
	}
}

// openWeb returns a deployment called web, without a platform.
func openWeb() openDeployment {
	release := bluegreen.Release{Env: map[string]string{"SECRET": secret, "DEBUG": "1"}}
	return openDeployment{
		platformWarnings: &messages{},
		name:             "web", id: "web", location: localPlatform{},
		desired: bluegreen.Desired{Release: release}, mask: newMask(release.Env),
	}
}

func TestLogsAreAnnouncedOnlyIfThereAreAny(t *testing.T) {
	t.Parallel()
	sickly := &bluegreen.UnhealthyError{Unhealthy: 2, Size: 2, Instances: []bluegreen.UnhealthyInstance{
		{Instance: bluegreen.Instance{ID: "blue-1"}},
		{Instance: bluegreen.Instance{ID: "blue-2"}},
	}}
	for _, err := range []error{sickly, &kubernetes.StartError{Pod: "web-blue-7f", Container: "migrate"}} {
		detail := openWeb().failureDiagnostic("updated", err, "").Detail()
		if strings.Contains(detail, "The last lines of") {
			t.Errorf("lines are announced, but there are none:\n%s", detail)
		}
	}
	sickly.Instances[1].Logs = []string{"refused"}
	detail := openWeb().failureDiagnostic("updated", sickly, "").Detail()
	if strings.Contains(detail, "lines of blue-1") || !strings.Contains(detail, "lines of blue-2:\n    refused") {
		t.Errorf("only blue-2 has written something:\n%s", detail)
	}
}

// What the platform finds wrong with a setting is an error on its attribute.
func TestFailuresPointAtAttributes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		want path.Path
	}{
		"listen": {
			&local.AddressError{Address: "127.0.0.1:80", Err: errors.New("permission denied")},
			path.Root("local").AtName("listen"),
		},
		"preview": {
			&local.AddressError{Preview: true, Address: "127.0.0.1:80", Err: errors.New("permission denied")},
			path.Root("local").AtName("preview_listen"),
		},
		"image": {
			&local.ImageError{Path: "app.tar.gz", Err: errors.New("it leaves its directory")},
			path.Root("image"),
		},
	} {
		d := openWeb().failureDiagnostic(
			"created",
			&bluegreen.Error{
				Kind:        bluegreen.DeployFailed,
				Phase:       "deploy",
				Environment: bluegreen.Green,
				Cause:       tt.err,
			},
			"",
		)
		pointing, ok := d.(diag.DiagnosticWithPath)
		if !ok || !pointing.Path().Equal(tt.want) {
			t.Errorf("%s: %v does not point at %s", name, d, tt.want)
		}
	}
}

func TestWhatACreateThatFailedHasLeft(t *testing.T) {
	t.Parallel()
	failed := fmt.Errorf("locking the deployment: %w", errors.New("no answer"))
	for name, tt := range map[string]struct {
		after bluegreen.Status
		err   error
		want  string
	}{
		"nothing": {
			bluegreen.Status{}, bluegreen.ErrNotFound,
			"Nothing was left behind, and nothing is recorded in the Terraform state.",
		},
		"unreachable": {
			bluegreen.Status{}, errors.New("no route"),
			"It is not known whether anything was left behind: no route.",
		},
		"unreachable for the same reason": {
			bluegreen.Status{}, errors.New("no answer"),
			"For the same reason it is not known whether anything was left behind.",
		},
		"a deployment that does not serve": {
			bluegreen.Status{Ledger: bluegreen.NewLedger("web")}, nil,
			"The next apply removes what was left behind. Nothing is recorded in the Terraform state.",
		},
		"a deployment that serves": {
			statusAfter(t), nil,
			"1.0.0 serves from green now.\n\nThe deployment is not recorded in the Terraform state. " +
				openWeb().importCommand(),
		},
	} {
		if got := openWeb().describeFailedCreate(failed, tt.after, tt.err); got != tt.want {
			t.Errorf("%s: it says %q, not %q", name, got, tt.want)
		}
	}
}

func TestWhatServesAfterAnUpdate(t *testing.T) {
	t.Parallel()
	sick := errors.New("sick")
	before := statusAfter(t)
	unreached := before
	unreached.Outage = &bluegreen.Outage{Cause: "no agent runs", Next: "Apply again."}
	dead, ill := before, before
	dead.Running = nil
	ill.Unready = before.Running
	for name, tt := range map[string]struct {
		after       bluegreen.Status
		failed, err error
		want        string
	}{
		"the same": {before, sick, nil, "The live environment was not touched: 1.0.0 still serves from green."},
		"the same, from another agent": {
			before, &lostAgentError{err: sick}, nil, "The agent was started again: 1.0.0 serves from green now.",
		},
		"the same, and nobody reaches it": {
			unreached, sick, nil,
			"No client can connect to 1.0.0, which is live in green: no agent runs.\n\nApply again.",
		},
		"the same, and its replicas are gone": {
			dead, sick, nil,
			"The live environment was not touched: 1.0.0 is live in green, but no client reaches a replica of it.",
		},
		"the same, and its replicas are ill": {
			ill, &lostAgentError{err: sick}, nil,
			"The agent was started again: 1.0.0 is live in green, but none of its replicas is healthy.",
		},
		"another": {
			statusAfter(t, deploySecond), sick, nil, "2.0.0 serves from blue now. The Terraform state was updated.",
		},
		"nothing": {bluegreen.Status{Ledger: bluegreen.NewLedger("web")}, sick, nil, "Nothing serves."},
		"gone":    {bluegreen.Status{}, sick, bluegreen.ErrNotFound, "The deployment no longer exists."},
		"unreachable": {
			bluegreen.Status{}, sick, errors.New("no answer"), "It is not known what serves now: no answer.",
		},
	} {
		if got := openWeb().describeFailedUpdate(tt.failed, before.Ledger, tt.after, tt.err); got != tt.want {
			t.Errorf("%s: it says %q, not %q", name, got, tt.want)
		}
	}
}

// The error about an agent that ended says in which phase, and why none serves now.
func TestErrorAboutALostAgentSaysWhyItWasNotStarted(t *testing.T) {
	t.Parallel()
	notStarted := errors.New("the disk is full")
	failed := &bluegreen.Error{
		Kind: bluegreen.PlatformUnavailable, Phase: "deploy", Environment: bluegreen.Blue,
		Cause: errors.New("no answer"),
	}
	for want, err := range map[string]error{
		"The agent ended during the deploy of blue: no answer. ":                 &lostAgentError{failed, nil},
		"can connect. It could not be started again: the disk is full.":          &lostAgentError{failed, notStarted},
		"The agent ended during the operation. That says nothing about the rel":  &lostAgentError{nil, notStarted},
		"no client of its deployments can connect. It could not be started agai": &lostAgentError{nil, notStarted},
	} {
		if detail := openWeb().failureDiagnostic("updated", err, "").Detail(); !strings.Contains(detail, want) {
			t.Errorf("it does not say %q:\n%s", want, detail)
		}
	}
}

// A duration or a size at its limit is allowed.
func TestLimitsAreAllowed(t *testing.T) {
	t.Parallel()
	settings := healthSettings{timeout: 150 * time.Second, retries: 3}
	m := deploymentModel{BakeTime: newDuration(10 * time.Minute)}
	if diags := m.checkDeadlines("update", 10*time.Minute, settings); diags.HasError() {
		t.Errorf("what takes as long as the whole operation may: %v", diags)
	}
	if diags := m.checkDeadlines("update", 10*time.Minute-1, settings); diags.ErrorsCount() != 2 {
		t.Errorf("what takes longer than the whole operation may: %v", diags)
	}
	settings.checks.Interval = time.Hour
	unwatched := deploymentModel{BakeTime: newDuration(0)}
	if diags := unwatched.checkDeadlines("update", 10*time.Minute, settings); diags.HasError() {
		t.Errorf("an interval without a watch: %v", diags)
	}
	for name, tt := range map[string]struct {
		validator validator.String
		valid     []string
		invalid   []string
	}{
		"not negative": {notNegative(), []string{"0s", "1ns"}, []string{"-1ns"}},
		"positive":     {positive(), []string{"1ns"}, []string{"0s"}},
		"address":      {listenAddress{}, []string{"[::1]:1", ":65535"}, []string{"h:0", "h:65536", "h:x", "h"}},
		"memory":       {memorySize{}, []string{"6m", "6291456"}, []string{"6291455", "much"}},
	} {
		for _, text := range slices.Concat(tt.valid, tt.invalid) {
			request := validator.StringRequest{Path: path.Root("it"), ConfigValue: types.StringValue(text)}
			var response validator.StringResponse
			tt.validator.ValidateString(t.Context(), request, &response)
			if valid := !response.Diagnostics.HasError(); valid != slices.Contains(tt.valid, text) {
				t.Errorf("%s: %q is valid: %t", name, text, valid)
			}
		}
	}
}

// A replica that needs a whole attempt to become healthy does not pass in it.
func TestHealthyThresholdFitsIntoAnAttempt(t *testing.T) {
	t.Parallel()
	settings := healthSettings{checks: health.Config{Interval: 2 * time.Second, HealthyThreshold: 5}}
	settings.timeout = settings.checks.ShortestPass()
	if diags := checkHealthyThreshold(settings); diags.ErrorsCount() != 1 {
		t.Errorf("a check that takes as long as an attempt: %v", diags)
	}
	settings.timeout++
	if diags := checkHealthyThreshold(settings); diags.HasError() {
		t.Errorf("a check that takes less time than an attempt: %v", diags)
	}
}

// A create whose watch was cut short succeeds only if no probe had failed.
func TestCutWatchIsHealthyUntilAProbeFails(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		&bluegreen.CutWatchError{Probes: 3}:            true,
		&bluegreen.CutWatchError{Probes: 3, Failed: 1}: false,
		errors.New("disk full"):                        false,
	} {
		if got := isHealthyCutWatch(err); got != want {
			t.Errorf("%+v is healthy: %t", err, got)
		}
	}
}

func TestReplacementIsPlannedWithAWarning(t *testing.T) {
	t.Parallel()
	on := func(kind, name string) *deploymentModel {
		m := &deploymentModel{Name: types.StringValue(name)}
		m.ID = types.StringValue(name)
		if kind == kindDocker {
			m.Docker = types.ObjectValueMust(map[string]attr.Type{}, map[string]attr.Value{})
		}
		return m
	}
	for what, tt := range map[string]struct {
		prior, plan *deploymentModel
		warns       bool
		// keeps: Terraform itself replaces a deployment whose name changes.
		keeps bool
	}{
		"the same":         {prior: on(kindLocal, "web"), plan: on(kindLocal, "web"), keeps: true},
		"another name":     {prior: on(kindLocal, "web"), plan: on(kindLocal, "api"), warns: true, keeps: true},
		"another platform": {prior: on(kindLocal, "web"), plan: on(kindDocker, "web"), warns: true},
	} {
		r := deploymentResource{}
		var response resource.ModifyPlanResponse
		kept := r.planReplacement(tt.plan, tt.prior, &response)
		if (kept == tt.prior) != tt.keeps || (len(response.RequiresReplace) == 0) != tt.keeps {
			t.Errorf("%s: replaced because of %v", what, response.RequiresReplace)
		}
		if warns := response.Diagnostics.WarningsCount() > 0; warns != tt.warns || response.Diagnostics.HasError() {
			t.Errorf("%s: %v", what, response.Diagnostics)
		}
	}
}
