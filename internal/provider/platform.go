// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/objectvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// platformConfig is where a deployment runs, as it is configured. Each platform
// is one file: its attribute in the resource and in the provider, and its
// implementation of this.
type platformConfig interface {
	// kind is the name of the platform and of its attribute.
	kind() string
	// id identifies the deployment called name among those of the platform, if it
	// is known where that is.
	id(name string) types.String
	// check looks at what a plan can look at without touching anything. prior is
	// the platform's configuration in the state, nil when the deployment is new.
	check(name string, release plannedRelease, prior platformConfig) diag.Diagnostics
	// sameEndpoints reports whether clients find the deployment where they found
	// it with prior.
	sameEndpoints(prior platformConfig) bool
	// reachesPorts reports whether a replica can be probed on another port than
	// the one it serves.
	reachesPorts() bool
	// settings are what a release consists of on this platform beside what it
	// consists of everywhere: see bluegreen.Release. They must be known.
	settings(ctx context.Context) (bluegreen.Settings, diag.Diagnostics)
	// settingsKnown reports whether they are.
	settingsKnown(ctx context.Context) bool
	// adopts reports whether a new deployment may take over what serves already.
	adopts() bool
	// open returns the platform of the deployment called name. It connects to nothing.
	open(ctx context.Context, name string, drainTimeout time.Duration) (openPlatform, error)
	// explain returns the attribute that err is about, where it is about one.
	explain(err error) (path.Path, bool)
}

// openPlatform is a platform that is hung up when the operation is over.
type openPlatform interface {
	bluegreen.Platform
	Close()
}

// plannedRelease is a release that a plan is going to deploy.
type plannedRelease struct {
	// deploys is false where no release is going to be deployed.
	deploys bool
	image   string
	command []string
	// vacated reports whether what has an address goes before the release comes.
	vacated func(address string) bool
}

// platformsModel holds the blocks of the platforms. In a resource at most one of
// them is set.
type platformsModel struct {
	Local      types.Object `tfsdk:"local"`
	Docker     types.Object `tfsdk:"docker"`
	Kubernetes types.Object `tfsdk:"kubernetes"`
}

// undecided reports whether it is not known yet which platform it is.
func (m platformsModel) undecided() bool {
	return m.Local.IsUnknown() || m.Docker.IsUnknown() || m.Kubernetes.IsUnknown()
}

// platform returns the platform that is configured: local where none is.
func (m platformsModel) platform(provider providerModel) platformConfig {
	switch {
	case !m.Docker.IsNull():
		return dockerPlatform{block[dockerModel](m.Docker), provider.docker, provider.host}
	case !m.Kubernetes.IsNull():
		return kubernetesPlatform{block[kubernetesModel](m.Kubernetes), provider.cluster}
	default:
		return newLocalPlatform(block[localModel](m.Local), provider.local)
	}
}

// block returns what a platform's block says, nothing where it is null or unknown.
func block[T any](object types.Object) T {
	var m T
	// Each field of a block's model can be null and unknown: it takes every value
	// that the schema lets through.
	_ = object.As(context.Background(), &m, basetypes.ObjectAsOptions{UnhandledNullAsEmpty: true, UnhandledUnknownAsEmpty: true})
	return m
}

// blockOr returns what a platform's block says: nil where it is null, and unknown
// where it is unknown.
func blockOr[T any](object types.Object, unknown T) *T {
	switch {
	case object.IsNull():
		return nil
	case object.IsUnknown():
		return &unknown
	default:
		m := block[T](object)
		return &m
	}
}

// kinds are the platforms, and the attributes that choose them.
var kinds = []string{kindLocal, kindDocker, kindKubernetes}

// onlyPlatform refuses a second platform.
func onlyPlatform(kind string) validator.Object {
	var others []path.Expression
	for _, other := range kinds {
		if other != kind {
			others = append(others, path.MatchRoot(other))
		}
	}
	return objectvalidator.ConflictsWith(others...)
}
