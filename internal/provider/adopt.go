// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// adopt fills in what an import finds in the ledger, and the defaults for what no
// ledger holds. Environment variables cannot be read back.
func (m *deploymentModel) adopt(ctx context.Context, ledger bluegreen.Ledger) diag.Diagnostics {
	m.Promote = types.BoolValue(defaultPromote)
	m.Rollback = types.BoolValue(defaultRollback)
	m.Standby = types.StringValue(defaultStandby)
	m.BakeTime = duration(defaultBakeTime)
	m.SwitchTimeout = duration(bluegreen.DefaultConfig().SwitchTimeout)
	m.DrainTimeout = duration(defaultDrainTimeout)
	m.HistoryLimit = types.Int64Value(int64(ledger.HistoryLimit))

	slot := ledger.Slot(ledger.Live)
	if !ledger.IsServing() {
		slot = ledger.Slot(ledger.Staging())
	}
	if slot.Release == nil {
		return nil
	}
	m.Version = types.StringValue(slot.Release.Version)
	m.Image = types.StringValue(slot.Release.Image)
	if !slot.Release.Autoscaled {
		m.Replicas = types.Int64Value(int64(slot.Release.Replicas))
	}
	var diags, more diag.Diagnostics
	m.Command, diags = listOrNull(ctx, slot.Release.Command)
	m.Args, more = listOrNull(ctx, slot.Release.Args)
	diags.Append(more...)
	return diags
}

// duration is written as the schema writes its defaults, so that an import finds
// no difference.
func duration(d time.Duration) timetypes.GoDuration {
	return timetypes.NewGoDurationValueFromStringMust(inSeconds(d))
}

func listOrNull(ctx context.Context, values []string) (types.List, diag.Diagnostics) {
	if len(values) == 0 {
		return types.ListNull(types.StringType), nil
	}
	return types.ListValueFrom(ctx, types.StringType, values)
}
