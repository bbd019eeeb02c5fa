// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// keepImage plans the image of the prior state if the configured path leads to the same content,
// and nothing else of the release differs. Another path, such as an absolute one, is then no new
// release. Terraform accepts the prior value of an attribute as equal to the configured one.
func (m *deploymentModel) keepImage(ctx context.Context, base planBase, where planChecks) diag.Diagnostics {
	if base.prior == nil || base.status.Ledger.Destroying || !m.isKnown(ctx) || m.Image.Equal(base.prior.Image) {
		return nil
	}
	former := *m
	former.Image = base.prior.Image
	release, diags := former.release(ctx)
	command, more := texts(ctx, m.Command)
	diags.Append(more...)
	if diags.HasError() {
		return diags
	}
	configured := plannedRelease{image: m.Image.ValueString(), command: command}
	for _, env := range bluegreen.Environments() {
		if base.status.Ledger.HasRelease(env, release) &&
			where.hasImage(ctx, configured, base.status.Ledger.Slot(env).Release.ImageDigest) {
			m.Image = base.prior.Image
			return diags
		}
	}
	return diags
}

// hasImage compares the content of the image, which is on this machine.
func (p localPlatform) hasImage(ctx context.Context, release plannedRelease, digest string) bool {
	found, err := local.ImageDigest(ctx, p.imageOf(release))
	return err == nil && found == digest
}

// imageOf says which image is copied, and how.
func (p localPlatform) imageOf(release plannedRelease) local.Image {
	return local.Image{Path: release.image, Command: release.command, FollowsLinks: p.FollowLinks.ValueBool()}
}

// hasImage is false: only the engine knows what a reference leads to.
func (p dockerPlatform) hasImage(context.Context, plannedRelease, string) bool { return false }

// hasImage is false: only the cluster knows what a reference leads to.
func (p kubernetesPlatform) hasImage(context.Context, plannedRelease, string) bool { return false }

// describeFreePort says which port the deployment got whose local block has no listen. Terraform
// drops an argument of a nested attribute that is misspelt, so that the block may just look like this.
func (m *deploymentModel) describeFreePort() diag.Diagnostics {
	if !isSet(m.Local) || isSet(block[localModel](m.Local).Listen) {
		return nil
	}
	return diag.Diagnostics{diag.NewAttributeWarningDiagnostic(path.Root(kindLocal),
		"The deployment listens on a free port",
		"Attribute local has no listen, so that the agent took a free port: clients find the deployment at "+
			m.Endpoint.ValueString()+". To choose the address, set local.listen. Terraform drops an argument of local "+
			"whose name is misspelt.")}
}
