// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// action is one step of the demo.
type action struct {
	title string
	// run returns a few words about the result.
	run func(ctx context.Context) (string, error)
}

// demo deploys a service, rolls it back, and deploys a broken release, while clients use
// the service.
type demo struct {
	terraform terraform
	workDir   *workDir
	progress  *progress

	load    *load
	applied bool
	history []record
}

func (d *demo) actions() []action {
	return []action{
		{"build the provider and a service", func(ctx context.Context) (string, error) {
			return "", d.workDir.build(ctx)
		}},
		{"terraform init", func(ctx context.Context) (string, error) {
			return "", d.terraform.init(ctx)
		}},
		{"apply 1.0.0", func(ctx context.Context) (string, error) {
			return d.apply(ctx, variables{Release: "1.0.0"}, "1.0.0")
		}},
		{"apply 2.0.0", func(ctx context.Context) (string, error) {
			return d.apply(ctx, variables{Release: "2.0.0"}, "2.0.0")
		}},
		{"rollback = true", func(ctx context.Context) (string, error) {
			return d.apply(ctx, variables{Release: "2.0.0", Rollback: true}, "1.0.0")
		}},
		{"rollback = false", func(ctx context.Context) (string, error) {
			return d.apply(ctx, variables{Release: "2.0.0"}, "2.0.0")
		}},
		{"apply 3.0.0, which is broken", func(ctx context.Context) (string, error) {
			return d.applyBroken(ctx, variables{Release: "3.0.0", Broken: true}, "2.0.0")
		}},
		{"apply 2.0.0 again", d.readHistory},
		{"destroy", d.destroy},
	}
}

// run runs every action in turn. It stops at the first that does not end as expected.
func (d *demo) run(ctx context.Context) error {
	for _, action := range d.actions() {
		d.progress.beginStep()
		note, err := action.run(ctx)
		if err != nil {
			d.progress.endStep(stats{}, errorNote(ctx, err), false)
			return fmt.Errorf("%s: %w", action.title, err)
		}
		d.progress.endStep(d.takeStepStats(), note, true)
	}
	return nil
}

// close ends the load and destroys what is still deployed.
func (d *demo) close(ctx context.Context) error {
	d.stopLoad()
	if !d.applied {
		return nil
	}
	d.applied = false
	return d.terraform.destroy(ctx)
}

// apply runs terraform apply. It returns an error unless the expected version answers
// afterwards.
func (d *demo) apply(ctx context.Context, v variables, expected string) (string, error) {
	d.showDeploying(v)
	if _, err := d.terraform.apply(ctx, d.completeVariables(v)); err != nil {
		return "", err
	}
	d.progress.stopClock()
	out, err := d.terraform.outputs(ctx)
	if err != nil {
		return "", err
	}
	if d.load == nil {
		url, err := d.workDir.platform.clientURL(ctx, out.Endpoint)
		if err != nil {
			return "", err
		}
		d.load = startLoad(url)
		d.progress.setLoad(d.load)
	}
	d.progress.setEnvironments(out.Environments)
	if out.LiveVersion != expected {
		return "", fmt.Errorf("terraform says that %s is live, not %s", out.LiveVersion, expected)
	}
	return "", d.expectVersion(ctx, expected)
}

// applyBroken applies a release that must fail, while the expected version keeps serving.
func (d *demo) applyBroken(ctx context.Context, v variables, expected string) (string, error) {
	d.showDeploying(v)
	_, err := d.terraform.apply(ctx, d.completeVariables(v))
	d.progress.stopClock()
	var refused *diagnosticError
	if err == nil {
		return "", errors.New("the broken release was accepted")
	}
	if !errors.As(err, &refused) {
		return "", err
	}
	d.progress.setEnvironments(map[string]environment{d.staging(): {Version: v.Release, State: "failed"}})
	return "refused: " + refused.Summary(), d.expectVersion(ctx, expected)
}

// readHistory applies the release that is live once more. The apply changes nothing, and
// Terraform reads the history again.
func (d *demo) readHistory(ctx context.Context) (string, error) {
	changed, err := d.terraform.apply(ctx, d.completeVariables(variables{Release: "2.0.0"}))
	if err != nil {
		return "", err
	}
	d.progress.stopClock()
	if changed != 0 {
		return "", errors.New("the failed release left something for the next plan to change")
	}
	out, err := d.terraform.outputs(ctx)
	if err != nil {
		return "", err
	}
	d.progress.setEnvironments(out.Environments)
	d.history = out.History
	err = d.expectVersion(ctx, "2.0.0")
	d.stopLoad()
	return "nothing to change", err
}

func (d *demo) destroy(ctx context.Context) (string, error) {
	err := d.close(ctx)
	if err == nil {
		d.progress.setDestroyed()
	}
	return "", err
}

// expectVersion lets the load go on for a moment. It then returns an error unless this
// version answers.
func (d *demo) expectVersion(ctx context.Context, version string) error {
	select {
	case <-time.After(d.workDir.platform.observationTime()):
	case <-ctx.Done():
		return ctx.Err()
	}
	got, err := d.load.sendOnNewConnection()
	if err == nil && got.Version != version {
		err = fmt.Errorf("%s answers, not %s", got.Version, version)
	}
	return err
}

// showDeploying shows a release in staging before it is deployed there.
func (d *demo) showDeploying(v variables) {
	d.applied = true
	if d.load == nil || v.Rollback {
		return
	}
	if live, _ := d.load.current(); live.Version != v.Release {
		d.progress.setEnvironments(map[string]environment{d.staging(): {Version: v.Release, State: "checking"}})
	}
}

// staging returns the environment that has no traffic.
func (d *demo) staging() string {
	if live, _ := d.load.current(); live.Environment == "blue" {
		return "green"
	}
	return "blue"
}

func (d *demo) completeVariables(v variables) variables {
	v.Name, v.StateDir, v.Image = d.workDir.name(), d.workDir.stateDir(), d.workDir.image
	return v
}

func (d *demo) takeStepStats() stats {
	if d.load == nil {
		return stats{}
	}
	return d.load.takeStepStats()
}

func (d *demo) stopLoad() {
	if d.load != nil {
		d.load.stop()
	}
}

// errorNote returns a few words about an error.
func errorNote(ctx context.Context, err error) string {
	var diagnostics *diagnosticError
	switch {
	case ctx.Err() != nil:
		return "interrupted"
	case errors.As(err, &diagnostics):
		return diagnostics.Summary()
	default:
		return "not as expected"
	}
}
