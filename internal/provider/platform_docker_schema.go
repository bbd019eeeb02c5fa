// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"maps"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/float64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	resource "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/docker"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

// extraHost is a line of /etc/hosts as docker run --add-host takes it.
var extraHost = regexp.MustCompile(`^[^:\s]+:\S+$`)

// containerName is what the engine takes as the name of a container and of a volume.
var containerName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

func dockerAttribute() resource.SingleNestedAttribute {
	attributes := map[string]resource.Attribute{
		"port": resource.Int64Attribute{
			Required:            true,
			MarkdownDescription: describe("docker.port"),
			Validators:          []validator.Int64{int64validator.Between(1, 65535)},
		},
		"publish": resource.ListAttribute{
			Optional:            true,
			ElementType:         types.StringType,
			MarkdownDescription: describe("docker.publish"),
			Validators: []validator.List{
				listvalidator.SizeAtLeast(1),
				listvalidator.UniqueValues(),
				listvalidator.ValueStringsAre(listenAddress{}),
			},
		},
		"protocol": resource.StringAttribute{
			Optional: true, Computed: true,
			Default:             stringdefault.StaticString(string(protocol.HTTP)),
			MarkdownDescription: describe("docker.protocol"),
			Validators:          []validator.String{stringvalidator.OneOf(string(protocol.HTTP), string(protocol.TCP))},
		},
		"pull": resource.StringAttribute{
			Optional:            true,
			Computed:            true,
			Default:             stringdefault.StaticString(string(docker.PullChanged)),
			MarkdownDescription: describe("docker.pull"),
			Validators: []validator.String{
				stringvalidator.OneOf(pullPolicies()...),
			},
		},
		"agent_image": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("docker.agent_image"),
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"replace_agent": resource.BoolAttribute{
			Optional: true, Computed: true,
			Default:             booldefault.StaticBool(false),
			MarkdownDescription: describe("docker.replace_agent"),
		},
		// It has no default, so that the state of an earlier version shows no difference.
		"watch_engine": resource.BoolAttribute{
			Optional:            true,
			MarkdownDescription: describe("docker.watch_engine"),
		},
	}
	maps.Copy(attributes, routerAttributes())
	maps.Copy(attributes, dockerWorkloadAttributes())
	return resource.SingleNestedAttribute{
		Optional:            true,
		Validators:          []validator.Object{onlyPlatform(kindDocker)},
		MarkdownDescription: describe("docker"),
		Attributes:          attributes,
	}
}

// dockerWorkloadAttributes returns the attributes that are part of a release on Docker only.
func dockerWorkloadAttributes() map[string]resource.Attribute {
	return map[string]resource.Attribute{
		"network": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("docker.network"),
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"volumes": dockerVolumesAttribute(),
		"memory": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("docker.memory"),
			Validators:          []validator.String{memorySize{}},
		},
		"cpus": resource.Float64Attribute{
			Optional:            true,
			MarkdownDescription: describe("docker.cpus"),
			Validators:          []validator.Float64{float64validator.AtLeast(0.01)},
		},
		"user": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("docker.user"),
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"read_only": resource.BoolAttribute{
			Optional: true, Computed: true,
			Default:             booldefault.StaticBool(false),
			MarkdownDescription: describe("docker.read_only"),
		},
		"labels": resource.MapAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: describe("docker.labels"),
			Validators:          []validator.Map{mapvalidator.NoNullValues(), mapvalidator.KeysAre(foreignLabel{})},
		},
		"extra_hosts": resource.ListAttribute{
			Optional:            true,
			ElementType:         types.StringType,
			MarkdownDescription: describe("docker.extra_hosts"),
			Validators: []validator.List{
				listvalidator.ValueStringsAre(stringvalidator.RegexMatches(extraHost, "must be name:address")),
			},
		},
		"log_driver": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("docker.log_driver"),
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"log_options": resource.MapAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: describe("docker.log_options"),
			Validators:          []validator.Map{mapvalidator.NoNullValues()},
		},
	}
}

// dockerVolumesAttribute returns the attribute of the volumes and directories of a container.
func dockerVolumesAttribute() resource.ListNestedAttribute {
	return resource.ListNestedAttribute{
		Optional:            true,
		MarkdownDescription: describe("docker.volumes"),
		NestedObject: resource.NestedAttributeObject{Attributes: map[string]resource.Attribute{
			"container_path": resource.StringAttribute{
				Required:            true,
				MarkdownDescription: describe("docker.volumes.container_path"),
				Validators:          []validator.String{absolutePath()},
			},
			"volume_name": resource.StringAttribute{
				Optional:            true,
				MarkdownDescription: describe("docker.volumes.volume_name"),
				Validators: []validator.String{
					stringvalidator.LengthAtLeast(1),
					stringvalidator.ExactlyOneOf(siblings("volume_name", "host_path")...),
				},
			},
			"host_path": resource.StringAttribute{
				Optional:            true,
				MarkdownDescription: describe("docker.volumes.host_path"),
				Validators:          []validator.String{absolutePath()},
			},
			"read_only": resource.BoolAttribute{
				Optional: true, Computed: true,
				Default:             booldefault.StaticBool(false),
				MarkdownDescription: describe("docker.volumes.read_only"),
			},
		}},
	}
}

// pullPolicies returns the values of docker.pull.
func pullPolicies() []string {
	var values []string
	for _, policy := range docker.PullPolicies() {
		values = append(values, string(policy))
	}
	return values
}
