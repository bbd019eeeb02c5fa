// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// openDeployment is a deployment whose platform is open, for one call of Terraform.
type openDeployment struct {
	*bluegreen.Deployer
	name     string
	id       string
	location location
	desired  bluegreen.Desired
	// mask hides the values of the environment variables of desired in a text.
	mask func(text string) string
	// hasWriteOnly says that there are secrets that only an apply knows, and mask hides then.
	hasWriteOnly bool
	// platformWarnings are problems that the platform met and that stopped nothing.
	platformWarnings *messages
	// close ends the connections.
	close func()
}

// purpose is what a deployment is opened for. The zero value is for reading and destroying it.
type purpose struct {
	// isApply has the agent look after the replicas as the configuration says. A destroy asks
	// nothing of the agent, so that one that cannot do that does not stand in its way.
	isApply bool
	// key is the key of the fingerprints in the private state, "" for none.
	key bluegreen.FingerprintKey
}

// openFor opens the deployment for as long as the configured timeout. It must be used
// in the returned context, until it is closed.
func (r *deploymentResource) openFor(
	ctx context.Context, m deploymentModel, why purpose, configured timeoutOf, otherwise time.Duration,
) (context.Context, openDeployment, diag.Diagnostics) {
	timeout, diags := configured(ctx, otherwise)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	o, more := r.open(ctx, m, why)
	disconnect := o.close
	o.close = func() { disconnect(); cancel() }
	return ctx, o, append(diags, more...)
}

// timeoutOf returns the configured timeout of one kind of operation, otherwise if
// none is configured.
type timeoutOf func(ctx context.Context, otherwise time.Duration) (time.Duration, diag.Diagnostics)

// open opens the deployment that m configures. It changes nothing.
func (r *deploymentResource) open(
	ctx context.Context, m deploymentModel, why purpose,
) (openDeployment, diag.Diagnostics) {
	name, where := m.Name.ValueString(), m.platform(r.provider)
	o := openDeployment{name: name, id: where.id(name).ValueString(), location: where, close: func() {}}
	o.platformWarnings = &messages{}
	settings, diags := m.health(ctx)
	desired, more := m.desired(ctx, settings)
	diags.Append(more...)
	if diags.HasError() {
		return o, diags
	}
	o.desired, o.mask, o.hasWriteOnly = desired, newMask(m.secrets(desired.Release)), m.hasWriteOnly()
	checker, err := health.New(settings.checks)
	if err != nil {
		diags.AddAttributeError(path.Root("health_check"), "Invalid health check", sentence(err))
		return o, diags
	}
	config := m.config(settings)
	opening := openSettings{
		drainTimeout: config.DrainTimeout, checks: settings.checks, key: why.key, warn: o.platformWarnings.add,
	}
	if why.isApply {
		opening.upkeep = newUpkeep(desired.Release, settings, config)
	}
	platform, err := where.open(ctx, name, opening)
	if err != nil {
		diags.Append(openError(where, err))
		return o, diags
	}
	o.close = platform.Close
	o.Deployer = bluegreen.NewDeployer(name, platform, checker, actor())
	o.Config = config
	o.Progress = progress(ctx, name, o.mask)
	o.Mask = o.mask
	o.UseKey(why.key)
	return o, diags
}

// messages are texts that are collected during an operation.
type messages struct{ list []string }

func (m *messages) add(message string) { m.list = append(m.list, message) }

// create creates the deployment.
//
// A create that was killed after its switch leaves a deployment that serves and is
// in no state. The same configuration takes it over. Another configuration is
// refused: it would deploy a second release, and its plan is for a deployment that
// does not exist. An adopted workload is not refused: the deployment begins with it,
// until one of its own releases serves.
func (o openDeployment) create(ctx context.Context) ([]error, error) {
	status, err := o.Status(ctx)
	ledger := status.Ledger
	asPlanned := o.desired.Promote && ledger.Live == bluegreen.NewLedger(o.name).Staging() && o.isFulfilled(status)
	if err == nil && ledger.IsServing() && !asPlanned && !isServingAdopted(ledger) {
		version := ledger.Slot(ledger.Live).Release.Version
		return nil, fmt.Errorf("%w: %s serves from %s", bluegreen.ErrExists, version, ledger.Live)
	}
	return o.Create(ctx, o.desired)
}

// isServingAdopted reports whether an adopted workload serves, and no release of the
// deployment has served before.
func isServingAdopted(l bluegreen.Ledger) bool {
	live, serving := l.LiveRecord()
	return serving && live.Operation == bluegreen.OpAdopt && !l.Created
}

// statusAfter returns the status of the deployment after the operation, even if ctx
// has ended. If the agent has ended too, it starts it again.
func (o openDeployment) statusAfter(ctx context.Context) (bluegreen.Status, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	status, err := o.Status(ctx)
	if _, ok := o.Platform.(agentKeeper); !ok || status.Outage == nil && !local.HasLostAgent(err) {
		return status, err
	}
	if notStarted := o.ensureAgent(ctx); notStarted != nil {
		if status.Outage != nil {
			status.Outage.Cause += ", and it was not started again: " + notStarted.Error()
		}
		return status, err
	}
	return o.Status(ctx)
}

// statusOfRefresh returns the status of the deployment, which it reads once for all
// calls in a context of withSharedStatus.
func (o openDeployment) statusOfRefresh(ctx context.Context) (bluegreen.Status, error) {
	shared, ok := ctx.Value(sharedStatusKey{}).(*sharedStatus)
	if !ok {
		shared = &sharedStatus{}
	}
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		shared.status, shared.err = o.Status(ctx)
	})
	return shared.status, shared.err
}

// sharedStatus is the status that one refresh has read.
type sharedStatus struct {
	once   sync.Once
	status bluegreen.Status
	err    error
}

type sharedStatusKey struct{}

// withSharedStatus returns a context in which the status of the deployment is read
// once: a platform that does not answer is not waited for twice, and two refreshes
// in the same context see the same.
func withSharedStatus(ctx context.Context) context.Context {
	if _, ok := ctx.Value(sharedStatusKey{}).(*sharedStatus); ok {
		return ctx
	}
	return context.WithValue(ctx, sharedStatusKey{}, &sharedStatus{})
}

// observe translates a status into attributes. What replicas answer is left out if it may contain
// write-only values: a refresh does not know them, and so cannot mask them.
func (o openDeployment) observe(status bluegreen.Status) observedModel {
	if o.hasWriteOnly {
		status.StandbyCauses = nil
	}
	return observe(o.id, status, o.desired.MinHealthyPercent).model()
}

// progress returns a function that logs each phase. TF_LOG_PROVIDER=INFO shows them.
func progress(ctx context.Context, name string, mask func(string) string) func(string) {
	ctx = tflog.SetField(ctx, "deployment", name)
	return func(message string) { tflog.Info(ctx, mask(message)) }
}

// actor names this process in locks and records.
func actor() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return fmt.Sprintf("%s@%s pid %d", name, host, os.Getpid())
}
