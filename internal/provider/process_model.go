// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker/go-units"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// processModel is what a release says about its processes, in the local block.
type processModel struct {
	User             types.String  `tfsdk:"user"`
	Group            types.String  `tfsdk:"group"`
	Umask            types.String  `tfsdk:"umask"`
	StopTimeout      durationValue `tfsdk:"stop_timeout"`
	StopSignal       types.String  `tfsdk:"stop_signal"`
	NoNewPrivileges  types.Bool    `tfsdk:"no_new_privileges"`
	Memory           types.String  `tfsdk:"memory"`
	CPUs             types.Float64 `tfsdk:"cpus"`
	SocketActivation types.Bool    `tfsdk:"socket_activation"`
	FollowLinks      types.Bool    `tfsdk:"follow_links"`
}

// settings implements workload. What is at its default is no setting, so that a release has the
// fingerprint that it had before there were settings.
func (m processModel) settings(context.Context) (bluegreen.Settings, diag.Diagnostics) {
	s := local.Settings{
		User: m.User.ValueString(), Group: m.Group.ValueString(), Umask: m.Umask.ValueString(),
		StopSignal: m.StopSignal.ValueString(), CPUs: m.CPUs.ValueFloat64(),
		AllowNewPrivileges: isSet(m.NoNewPrivileges) && !m.NoNewPrivileges.ValueBool(),
		SocketActivation:   m.SocketActivation.ValueBool(),
		FollowLinks:        m.FollowLinks.ValueBool(),
	}
	var diags diag.Diagnostics
	if isSet(m.Memory) {
		// The attribute's validator has refused what this could not read.
		s.Memory, _ = units.RAMInBytes(m.Memory.ValueString())
	}
	if isSet(m.StopTimeout) {
		s.StopTimeout, diags = m.StopTimeout.ValueGoDuration()
	}
	if s == (local.Settings{}) {
		return nil, diags
	}
	return s, diags
}

// isKnown implements workload.
func (m processModel) isKnown(context.Context) bool {
	for _, value := range []attr.Value{
		m.User, m.Group, m.Umask, m.StopTimeout, m.StopSignal, m.NoNewPrivileges, m.Memory, m.CPUs,
		m.SocketActivation, m.FollowLinks,
	} {
		if value.IsUnknown() {
			return false
		}
	}
	return true
}

// checkUser looks the user and the group up on this machine. Whether the agent may start
// processes as that user is known once the agent is asked.
func (m processModel) checkUser() diag.Diagnostics {
	if m.User.IsUnknown() || m.Group.IsUnknown() || m.User.IsNull() && m.Group.IsNull() {
		return nil
	}
	err := local.CheckUser(m.User.ValueString(), m.Group.ValueString())
	var setting *local.SettingError
	if !errors.As(err, &setting) {
		return nil
	}
	value := m.User
	if setting.Setting == "group" {
		value = m.Group
	}
	return diag.Diagnostics{attributeError(
		path.Root(kindLocal).AtName(setting.Setting), "The release cannot run like this",
		fmt.Sprintf("is %q: %s", value.ValueString(), inWords(setting.Err)))}
}
