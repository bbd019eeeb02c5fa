// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// operation is what one call of Terraform does to one deployment.
type operation struct {
	*bluegreen.Deployer
	name     string
	id       string
	platform platformConfig
	desired  bluegreen.Desired
	// close hangs up.
	close func()
}

// begin prepares an operation as operation does, and gives it the time that is
// configured. Until it is closed the operation is to run in the context returned.
func (r *deploymentResource) begin(ctx context.Context, m deploymentModel, configured timeoutOf, usual time.Duration) (context.Context, operation, diag.Diagnostics) {
	timeout, diags := configured(ctx, usual)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	o, more := r.operation(ctx, m)
	hangUp := o.close
	o.close = func() { hangUp(); cancel() }
	return ctx, o, append(diags, more...)
}

// timeoutOf returns the timeout of one kind of operation, the usual one where
// nothing is configured.
type timeoutOf func(ctx context.Context, usual time.Duration) (time.Duration, diag.Diagnostics)

// operation prepares an operation on the deployment that m configures. Nothing
// is touched yet.
func (r *deploymentResource) operation(ctx context.Context, m deploymentModel) (operation, diag.Diagnostics) {
	name, where := m.Name.ValueString(), m.platform(r.provider)
	o := operation{name: name, id: where.id(name).ValueString(), platform: where, close: func() {}}
	judged, diags := m.health(ctx)
	desired, more := m.desired(ctx, judged)
	diags.Append(more...)
	if diags.HasError() {
		return o, diags
	}
	o.desired = desired
	checker, err := health.New(judged.checks)
	if err != nil {
		diags.AddAttributeError(path.Root("health_check"), "Invalid health check", err.Error())
		return o, diags
	}
	platform, err := where.open(ctx, name, durationOr(m.DrainTimeout, defaultDrainTimeout))
	if err != nil {
		diags.Append(openError(where, err))
		return o, diags
	}
	o.close = platform.Close
	o.Deployer = bluegreen.NewDeployer(name, platform, checker, actor())
	o.Config = m.config(judged)
	o.Progress = progress(ctx, name, desired.Release.Env)
	o.Mask = o.masked
	return o, diags
}

// create makes the deployment. A create that was killed after its switch has left
// a deployment that serves and that no state knows. The same configuration takes
// it over; another one would have to deploy beside it, which is not what was
// planned for a deployment that does not exist. What was adopted is where a
// deployment begins, until a release of its own serves.
func (o operation) create(ctx context.Context) ([]error, error) {
	status, err := o.Status(ctx)
	asPlanned := o.desired.Promote && status.Ledger.Live == bluegreen.NewLedger(o.name).Staging() && o.fulfilled(status)
	if err == nil && status.Ledger.IsServing() && !asPlanned && !adopting(status.Ledger) {
		return nil, fmt.Errorf("%w: %s serves from %s", bluegreen.ErrExists, status.Ledger.Slot(status.Ledger.Live).Release.Version, status.Ledger.Live)
	}
	return o.Create(ctx, o.desired)
}

// adopting reports whether what was taken over serves, and no release of the
// deployment's own has ever done so.
func adopting(l bluegreen.Ledger) bool {
	live, serving := l.LiveRecord()
	return serving && live.Operation == bluegreen.OpAdopt && !l.Created
}

// look returns the deployment as it is, also when ctx has ended.
func (o operation) look(ctx context.Context) (bluegreen.Status, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	return o.Status(ctx)
}

// observe translates what was looked at.
func (o operation) observe(status bluegreen.Status) observedModel {
	return observe(o.id, status, o.desired.MinHealthyPercent).model()
}

// fulfilled reports whether the deployment is what the configuration asks for:
// nothing is left to do that changes who serves or what stands ready.
func (o operation) fulfilled(status bluegreen.Status) bool {
	steps, err := status.Ledger.Next(o.desired, status.Running)
	if err != nil {
		return false
	}
	return !forecast{steps: steps}.does(bluegreen.StepDeployAndSwitch, bluegreen.StepPreview, bluegreen.StepPromote, bluegreen.StepRollback)
}

// shortestSecret is the length from which the value of an environment variable
// is masked. Shorter ones are words like "info" or "1", which logs are full of.
const shortestSecret = 6

// progress returns what logs a line a phase. They show with TF_LOG_PROVIDER=INFO.
func progress(ctx context.Context, name string, env map[string]string) func(string) {
	ctx = tflog.SetField(ctx, "deployment", name)
	for _, value := range env {
		if len(value) >= shortestSecret {
			ctx = tflog.MaskMessageStrings(ctx, value)
		}
	}
	return func(message string) { tflog.Info(ctx, message) }
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
