// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// act is one step of the demo.
type act struct {
	title string
	// perform does it; the string says in a few words what came of it.
	perform func(ctx context.Context) (string, error)
}

// play is the demo: a service that is deployed, rolled back and deployed badly
// while clients use it.
type play struct {
	terraform terraform
	workshop  *workshop
	board     *board

	load    *load
	applied bool
	history []record
}

func (p *play) acts() []act {
	return []act{
		{"build the provider and a service", func(ctx context.Context) (string, error) {
			return "", p.workshop.build(ctx)
		}},
		{"terraform init", func(ctx context.Context) (string, error) {
			return "", p.terraform.init(ctx)
		}},
		{"apply 1.0.0", func(ctx context.Context) (string, error) {
			return p.apply(ctx, variables{Release: "1.0.0"}, "1.0.0")
		}},
		{"apply 2.0.0", func(ctx context.Context) (string, error) {
			return p.apply(ctx, variables{Release: "2.0.0"}, "2.0.0")
		}},
		{"rollback = true", func(ctx context.Context) (string, error) {
			return p.apply(ctx, variables{Release: "2.0.0", Rollback: true}, "1.0.0")
		}},
		{"rollback = false", func(ctx context.Context) (string, error) {
			return p.apply(ctx, variables{Release: "2.0.0"}, "2.0.0")
		}},
		{"apply 3.0.0, which is broken", func(ctx context.Context) (string, error) {
			return p.applyBroken(ctx, variables{Release: "3.0.0", Broken: true}, "2.0.0")
		}},
		{"apply 2.0.0 again", p.readHistory},
		{"destroy", p.destroy},
	}
}

// run performs every act in turn and stops at the first that does not end as expected.
func (p *play) run(ctx context.Context) error {
	for _, act := range p.acts() {
		p.board.begin(act.title)
		note, err := act.perform(ctx)
		if err != nil {
			p.board.end(tally{}, errorNote(ctx, err), false)
			return fmt.Errorf("%s: %w", act.title, err)
		}
		p.board.end(p.cut(), note, true)
	}
	return nil
}

// close ends the load and destroys what is still deployed.
func (p *play) close(ctx context.Context) error {
	p.stopLoad()
	if !p.applied {
		return nil
	}
	p.applied = false
	return p.terraform.destroy(ctx)
}

// apply brings a release, or the one before it, into service and fails unless
// it is the one that answers afterwards.
func (p *play) apply(ctx context.Context, v variables, serves string) (string, error) {
	p.announce(v)
	if _, err := p.terraform.apply(ctx, p.with(v)); err != nil {
		return "", err
	}
	p.board.stopClock()
	out, err := p.terraform.outputs(ctx)
	if err != nil {
		return "", err
	}
	if p.load == nil {
		url, err := p.workshop.platform.reach(ctx, out.Endpoint)
		if err != nil {
			return "", err
		}
		p.load = startLoad(url)
		p.board.follow(p.load)
	}
	p.board.place(out.Environments)
	if out.LiveVersion != serves {
		return "", fmt.Errorf("terraform says that %s is live, not %s", out.LiveVersion, serves)
	}
	return "", p.expect(ctx, serves)
}

// applyBroken applies a release that must fail while another goes on serving.
func (p *play) applyBroken(ctx context.Context, v variables, serves string) (string, error) {
	p.announce(v)
	_, err := p.terraform.apply(ctx, p.with(v))
	p.board.stopClock()
	var refused *diagnosticError
	if err == nil {
		return "", errors.New("the broken release was accepted")
	}
	if !errors.As(err, &refused) {
		return "", err
	}
	p.board.place(map[string]environment{p.staging(): {Version: v.Release, State: "failed"}})
	return "refused: " + refused.Summary(), p.expect(ctx, serves)
}

// readHistory goes back to the release that serves, which changes nothing but
// lets Terraform read the history once more.
func (p *play) readHistory(ctx context.Context) (string, error) {
	changed, err := p.terraform.apply(ctx, p.with(variables{Release: "2.0.0"}))
	if err != nil {
		return "", err
	}
	p.board.stopClock()
	if changed != 0 {
		return "", errors.New("the failed release left something for the next plan to change")
	}
	out, err := p.terraform.outputs(ctx)
	if err != nil {
		return "", err
	}
	p.board.place(out.Environments)
	p.history = out.History
	err = p.expect(ctx, "2.0.0")
	p.stopLoad()
	return "nothing to change", err
}

func (p *play) destroy(ctx context.Context) (string, error) {
	err := p.close(ctx)
	if err == nil {
		p.board.clear()
	}
	return "", err
}

// expect lets the load go on for a moment and fails unless this version answers.
func (p *play) expect(ctx context.Context, version string) error {
	select {
	case <-time.After(p.workshop.platform.linger()):
	case <-ctx.Done():
		return ctx.Err()
	}
	got, err := p.load.askAnew()
	if err == nil && got.Version != version {
		err = fmt.Errorf("%s answers, not %s", got.Version, version)
	}
	return err
}

// announce shows a release that is about to be deployed where it will run.
func (p *play) announce(v variables) {
	p.applied = true
	if p.load == nil || v.Rollback {
		return
	}
	if serving, _ := p.load.now(); serving.Version != v.Release {
		p.board.place(map[string]environment{p.staging(): {Version: v.Release, State: "checking"}})
	}
}

// staging is the environment that has no traffic.
func (p *play) staging() string {
	if serving, _ := p.load.now(); serving.Environment == "blue" {
		return "green"
	}
	return "blue"
}

func (p *play) with(v variables) variables {
	v.Name, v.StateDir, v.Image = p.workshop.name(), p.workshop.stateDir(), p.workshop.image
	return v
}

func (p *play) cut() tally {
	if p.load == nil {
		return tally{}
	}
	return p.load.cut()
}

func (p *play) stopLoad() {
	if p.load != nil {
		p.load.stop()
	}
}

// errorNote is an error in few words, for the step's line.
func errorNote(ctx context.Context, err error) string {
	var said *diagnosticError
	switch {
	case ctx.Err() != nil:
		return "interrupted"
	case errors.As(err, &said):
		return said.Summary()
	default:
		return "not as expected"
	}
}
