// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// stateDirKeeper is a platform that keeps all that it knows in a directory of this machine.
type stateDirKeeper interface {
	// MissingStateDir returns the directory if it does not exist, "" if it does.
	MissingStateDir() string
}

var _ stateDirKeeper = (*local.Platform)(nil)

// missingStateDirWarning says, of a deployment that is in the Terraform state and not on the platform,
// that the whole state directory is missing, if so. Nobody has destroyed the deployment then.
func (o openDeployment) missingStateDirWarning() diag.Diagnostics {
	keeper, ok := o.Platform.(stateDirKeeper)
	if !ok {
		return nil
	}
	dir := keeper.MissingStateDir()
	if dir == "" {
		return nil
	}
	text := fmt.Sprintf("The state directory %[1]s does not exist, so that nothing is known of the deployment %[2]q "+
		"any more: it leaves the Terraform state, and an apply creates it again. Its agent and its replicas may still "+
		"run, and have its addresses.\n\nIf the directory was moved, or its disk is not mounted, put it back before "+
		"you apply. If it is lost, end the agent first, which ends its replicas too: "+
		"\"pgrep -af -- '-state-dir %[1]s'\" lists its processes, and \"kill\" ends it.", dir, o.name)
	return diag.Diagnostics{diag.NewWarningDiagnostic("The state directory is missing", text)}
}
