// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/objectvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// platformConfig is where a deployment runs, as it is configured. Each platform
// is one file: its attribute in the resource and in the provider, and its
// implementation of this.
type platformConfig interface {
	// kind is the name of the platform and of its attribute.
	kind() string
	// id identifies the deployment called name among those of the platform.
	id(name string) string
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
	settings(ctx context.Context) (string, diag.Diagnostics)
	// settingsKnown reports whether they are.
	settingsKnown(ctx context.Context) bool
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
}

// platformsModel holds the blocks of the platforms, at most one of which is set.
type platformsModel struct {
	Local      *localModel      `tfsdk:"local"`
	Docker     *dockerModel     `tfsdk:"docker"`
	Kubernetes *kubernetesModel `tfsdk:"kubernetes"`
}

// platform returns the platform that is configured: local where none is.
func (m platformsModel) platform(provider providerModel) platformConfig {
	switch {
	case m.Docker != nil:
		return dockerPlatform{*m.Docker, provider.Docker, provider.host}
	case m.Kubernetes != nil:
		return kubernetesPlatform{*m.Kubernetes, provider.cluster}
	default:
		return newLocalPlatform(m.Local, provider.Local)
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
