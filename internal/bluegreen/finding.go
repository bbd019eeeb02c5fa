// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// finding is what one attempt of a health check, or one probe of a watch, found
// in an environment.
type finding struct {
	// size is how many instances there should be, required how many of them must
	// be healthy.
	size, required int
	// autoscaled is set if an autoscaler may remove instances meanwhile.
	autoscaled bool
	outcomes   []outcome
}

// outcome is what was found of one instance.
type outcome struct {
	instance Instance
	verdict  Verdict
	// exit says how the instance ended, nil while it runs.
	exit error
	// readiness is what the platform itself finds of the instance, empty if it does not
	// judge instances.
	readiness Verdict
	// cut is set when the attempt had failed before this instance had a result.
	cut bool
}

// isHealthy reports whether the instance passed every check in a run that goes on.
func (o outcome) isHealthy() bool { return o.exit == nil && o.verdict.IsHealthy() }

// isUnknown reports whether the instance failed no check, and at least one could not be
// made because the platform did not answer.
func (o outcome) isUnknown() bool {
	unknown := false
	for _, cause := range o.verdict {
		if cause != nil && !errors.Is(cause, ErrCouldNotAsk) {
			return false
		}
		unknown = unknown || cause != nil
	}
	return unknown && o.exit == nil
}

// newFinding returns a finding without outcomes for an environment that should
// run release and in which these instances are.
func newFinding(release Release, instances []Instance, minHealthyPercent int) finding {
	size := release.expectedSize(instances)
	return finding{
		size:       max(size, len(instances)),
		required:   requiredReplicas(size, minHealthyPercent),
		autoscaled: release.Autoscaled,
	}
}

// isHopeless reports whether so many instances have exited that too few are left.
func (f finding) isHopeless() bool {
	exited := 0
	for _, o := range f.outcomes {
		if o.exit != nil && !f.isScaledAway(o) {
			exited++
		}
	}
	return f.size-exited < f.required
}

// isScaledAway reports whether an autoscaler may have removed the instance.
func (f finding) isScaledAway(o outcome) bool { return f.autoscaled && errors.Is(o.exit, errGone) }

// isHealthy reports whether enough instances are healthy.
func (f finding) isHealthy() bool { return f.healthy() >= f.required }

// healthy counts the instances that are.
func (f finding) healthy() (n int) {
	for _, o := range f.outcomes {
		if o.isHealthy() {
			n++
		}
	}
	return n
}

// isUnknown reports whether enough instances could be healthy, and it is not known
// because the platform did not answer.
func (f finding) isUnknown() bool {
	unknown := 0
	for _, o := range f.outcomes {
		if o.isUnknown() {
			unknown++
		}
	}
	return unknown > 0 && !f.isHealthy() && f.healthy()+unknown >= f.required
}

// err returns why the finding is not healthy.
func (f finding) err() error {
	if f.isUnknown() {
		return fmt.Errorf("%w: %w", ErrCouldNotAsk, f.unhealthyError())
	}
	return f.unhealthyError()
}

// withReadiness returns the finding as the platform itself judges the instances that
// could not be probed.
func (f finding) withReadiness() finding {
	f.outcomes = slices.Clone(f.outcomes)
	for i, o := range f.outcomes {
		if o.isUnknown() && len(o.readiness) > 0 {
			f.outcomes[i].verdict = o.readiness
		}
	}
	return f
}

// withExits returns the finding after the instances that had passed were listed again,
// as now. One that has exited or restarted meanwhile did not pass.
func (f finding) withExits(now []Instance) finding {
	f.outcomes = slices.Clone(f.outcomes)
	for i, o := range f.outcomes {
		if o.isHealthy() {
			f.outcomes[i].exit = exitOf(now, o.instance)
		}
	}
	return f
}

// withoutScaledAway returns the finding without the instances that an autoscaler has
// removed, or has replaced by others that are in now.
func (f finding) withoutScaledAway(now []Instance, minHealthyPercent int) finding {
	left := slices.DeleteFunc(slices.Clone(f.outcomes), f.isScaledAway)
	if gone := len(f.outcomes) - len(left); gone > 0 {
		f.size = max(f.size-gone, len(now), 1)
		f.required = requiredReplicas(f.size, minHealthyPercent)
	}
	f.outcomes = left
	return f
}

// healthResult returns the finding as a record keeps it. duration is how long the
// check took, all its attempts included.
func (f finding) healthResult(duration time.Duration) HealthResult {
	r := HealthResult{Healthy: f.isHealthy(), Details: map[string]bool{}, Duration: duration}
	for _, o := range f.outcomes {
		if o.isHealthy() {
			r.Instances = append(r.Instances, o.instance.Ref())
		}
		for check, cause := range o.verdict {
			name := o.instance.ID + " " + check
			r.Details[name] = cause == nil
			if cause == nil {
				r.ChecksPassed++
				continue
			}
			r.ChecksFailed++
			if r.Causes == nil {
				r.Causes = map[string]string{}
			}
			r.Causes[name] = cause.Error()
		}
	}
	return r
}

// unhealthyError names the instances that are not healthy.
func (f finding) unhealthyError() *UnhealthyError {
	unhealthy := &UnhealthyError{Unhealthy: f.size - f.healthy(), Size: f.size}
	for _, o := range f.outcomes {
		if !o.isHealthy() {
			unhealthy.Instances = append(unhealthy.Instances, UnhealthyInstance{
				Instance: o.instance, Causes: o.verdict, Exit: o.exit, cut: o.cut,
			})
		}
	}
	return unhealthy
}

// UnhealthyError says which instances of an environment did not become or stay healthy.
type UnhealthyError struct {
	// Unhealthy of Size instances failed. Those that do not exist count too.
	Unhealthy, Size int
	Instances       []UnhealthyInstance
}

// UnhealthyInstance is an instance that failed its health check.
type UnhealthyInstance struct {
	Instance Instance
	// Causes holds the last result of each check, nil for one that passed.
	Causes Verdict
	// Exit is how the instance ended, or nil while it runs.
	Exit error
	// Logs are the last lines that it wrote, at most 10. No record keeps them.
	Logs []string
	cut  bool
}

func (e *UnhealthyError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d replicas unhealthy", e.Unhealthy, e.Size)
	for i, instance := range e.Instances {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString("replica " + instance.String())
	}
	if missing := e.Unhealthy - len(e.Instances); missing > 0 {
		fmt.Fprintf(&b, "; %d missing", missing)
	}
	return b.String()
}

// String returns one line: the instance and how it failed.
func (i UnhealthyInstance) String() string {
	var failing, causes []string
	for _, check := range slices.Sorted(maps.Keys(i.Causes)) {
		if cause := i.Causes[check]; cause != nil {
			failing = append(failing, check)
			causes = append(causes, fmt.Sprintf("%s: %v", check, cause))
		}
	}
	switch {
	case i.Exit != nil && len(failing) == 0:
		return fmt.Sprintf("%s: %v", i.Instance.ID, i.Exit)
	case i.Exit != nil:
		return fmt.Sprintf("%s: %v before it passed %s", i.Instance.ID, i.Exit, strings.Join(failing, ", "))
	case i.cut:
		return i.Instance.ID + ": not checked to the end, because other replicas exited"
	case len(causes) == 0:
		return i.Instance.ID + ": no check gave a result"
	default:
		return i.Instance.ID + ": " + strings.Join(causes, ", ")
	}
}
