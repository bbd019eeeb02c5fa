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

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// location is where a deployment is.
type location interface {
	// kind is the name of the platform and of its block.
	kind() string
	// namespace is the namespace on Kubernetes, null on every other platform.
	namespace() types.String
	// id identifies the deployment called name among those of the platform. It is
	// unknown while the location is.
	id(name string) types.String
	// endpoints returns where clients will find the deployment called name. They found it before at
	// the endpoints of prior, which is nil for a new deployment.
	endpoints(name string, prior location, before endpoints) endpoints
	// open returns the platform of the deployment called name. It connects to nothing.
	open(ctx context.Context, name string, s openSettings) (openPlatform, error)
	// names returns the names of the deployments that are there, sorted.
	names(ctx context.Context) ([]string, error)
	// attributeOf returns the attribute that an error of the platform is about. It
	// returns false for an error that is about none.
	attributeOf(err error) (path.Path, bool)
}

// openSettings is what a platform is opened with that every platform has. The zero value is
// enough for reading.
type openSettings struct {
	drainTimeout time.Duration
	checks       health.Config
	// key is the key of the fingerprints, if the private state has it.
	key bluegreen.FingerprintKey
	// upkeep is nil unless something is applied.
	upkeep *upkeep
	// warn, if it is not nil, is called with a message about a problem that stops nothing.
	warn func(message string)
}

// planChecks is what a plan can check of a configured platform.
type planChecks interface {
	// check returns what is wrong with the configuration. It touches nothing. prior
	// is the location in the state, nil for a new deployment.
	check(name string, release plannedRelease, prior location) findings
	// hasImage reports whether the image of release has the content with this digest, as far as a
	// plan can tell.
	hasImage(ctx context.Context, release plannedRelease, digest string) bool
	// canProbeOtherPorts reports whether a replica can be probed on a port that it
	// does not serve.
	canProbeOtherPorts() bool
	// conflicts refuses settings of the platform's block that do not work together, or not with
	// the health check. Unknown values are checked later, when they are known.
	conflicts(checks health.Config) diag.Diagnostics
	// withoutEffect warns of the settings of the health check that the platform does not
	// follow between two applies.
	withoutEffect(settings healthSettings) diag.Diagnostics
}

// workload is what a release is made of on one platform, in addition to what it is
// made of on every platform.
type workload interface {
	// settings returns those settings, which must be known: see bluegreen.Release.
	settings(ctx context.Context) (bluegreen.Settings, diag.Diagnostics)
	// isKnown reports whether the settings are known.
	isKnown(ctx context.Context) bool
	// canAdopt reports whether a new deployment may take over a workload that exists.
	canAdopt() bool
	// canAutoscale reports whether a release without a configured size leaves the
	// size to an autoscaler.
	canAutoscale() bool
}

// configuredPlatform is a platform with the blocks of the resource and the provider.
type configuredPlatform interface {
	location
	planChecks
}

// openPlatform is a platform whose connections Close ends.
type openPlatform interface {
	bluegreen.Platform
	Close()
}

// plannedRelease is the release that a plan is about.
type plannedRelease struct {
	// isDeployed is false if the apply does not deploy it.
	isDeployed bool
	image      string
	command    []string
}

// platformsModel holds the blocks of the platforms. In a resource at most one of
// them is set.
type platformsModel struct {
	Local      types.Object `tfsdk:"local"`
	Docker     types.Object `tfsdk:"docker"`
	Kubernetes types.Object `tfsdk:"kubernetes"`
}

// hasUnknownPlatform reports whether a block is unknown, so that the platform is.
func (m platformsModel) hasUnknownPlatform() bool {
	return m.Local.IsUnknown() || m.Docker.IsUnknown() || m.Kubernetes.IsUnknown()
}

// platform returns the configured platform, or local if no platform is configured.
func (m platformsModel) platform(provider providerModel) configuredPlatform {
	switch {
	case !m.Docker.IsNull():
		return dockerPlatform{block[dockerModel](m.Docker), provider.docker, provider.host}
	case !m.Kubernetes.IsNull():
		return kubernetesPlatform{block[kubernetesModel](m.Kubernetes), provider.cluster}
	default:
		return newLocalPlatform(block[localModel](m.Local), provider.local)
	}
}

// workload returns the part of a release that only the configured platform has.
func (m platformsModel) workload() workload {
	switch {
	case !m.Docker.IsNull():
		return block[dockerModel](m.Docker)
	case !m.Kubernetes.IsNull():
		return block[kubernetesModel](m.Kubernetes)
	default:
		return block[localModel](m.Local)
	}
}

// block decodes a nested block. A block that is null or unknown is empty.
func block[T any](object types.Object) T {
	var m T
	if isSet(object) {
		// Each field of a block's model can be null and unknown, so that it takes every
		// value that the schema allows. A test makes sure of it.
		_ = fillModel(&m, object.Attributes())
	}
	return m
}

// blockOr decodes a platform's block. It returns nil for null, and unknown for a
// block that is unknown.
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

// kinds are the platforms, and the blocks that choose them.
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
