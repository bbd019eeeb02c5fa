// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/float64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	provider "github.com/hashicorp/terraform-plugin-framework/provider/schema"
	resource "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/docker"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// newRelease ends the description of a setting that is part of the release.
const newRelease = " Changing it deploys a new release."

// extraHost is a line of /etc/hosts as docker run --add-host takes it.
var extraHost = regexp.MustCompile(`^[^:\s]+:\S+$`)

// containerName is what the engine takes as the name of a container and of a volume.
var containerName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

func dockerAttribute() resource.SingleNestedAttribute {
	attributes := map[string]resource.Attribute{
		"port": resource.Int64Attribute{
			Required:            true,
			MarkdownDescription: "The port that the containers serve, told to them as `PORT`. It is not published: the agent's proxy is what clients reach." + newRelease,
			Validators:          []validator.Int64{int64validator.Between(1, 65535)},
		},
		"publish": resource.ListAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "The addresses of the Docker host, `host:port`, where clients reach the live environment, such as `\"0.0.0.0:80\"` for all of IPv4, `\":80\"` for IPv6 as well. Default: a free port on its " +
				"127.0.0.1, chosen at the first apply and kept. Changing it opens the new addresses before the old ones close, asks clients " +
				"that keep their connection to open another one, and restarts nothing.",
			Validators: []validator.List{listvalidator.SizeAtLeast(1), listvalidator.UniqueValues(), listvalidator.ValueStringsAre(listenAddress{})},
		},
		"protocol": resource.StringAttribute{
			Optional: true, Computed: true,
			Default:             stringdefault.StaticString(string(router.HTTP)),
			MarkdownDescription: "`\"http\"` or `\"tcp\"`, as on `local`. Default `\"http\"`.",
			Validators:          []validator.String{stringvalidator.OneOf(string(router.HTTP), string(router.TCP))},
		},
		"pull": resource.StringAttribute{
			Optional: true, Computed: true,
			Default: stringdefault.StaticString(string(docker.PullMissing)),
			MarkdownDescription: "When the image is pulled: `\"missing\"` when the host does not have it, `\"always\"` at every deploy, `\"never\"`. Default `\"missing\"`. " +
				"Either way the release is pinned to the image that was found, so that a tag that moves later changes neither environment.",
			Validators: []validator.String{stringvalidator.OneOf(string(docker.PullMissing), string(docker.PullAlways), string(docker.PullNever))},
		},
		"agent_image": resource.StringAttribute{
			Optional: true,
			MarkdownDescription: "An image that has this provider at `/terraform-provider-bluegreen`, to run the agent from. Default: an image that is built from the running " +
				"provider itself. It is needed where the provider runs on another operating system or CPU than the Docker host.",
			Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"replace_agent": resource.BoolAttribute{
			Optional: true, Computed: true,
			Default: booldefault.StaticBool(false),
			MarkdownDescription: "Whether the next apply replaces an agent that another build of the provider has started by this one's. No request is dropped. Default `false`: it " +
				"stays, unless it is too old for this provider to talk to.",
		},
	}
	for name, attribute := range dockerWorkloadAttributes() {
		attributes[name] = attribute
	}
	return resource.SingleNestedAttribute{
		Optional:   true,
		Validators: []validator.Object{onlyPlatform(kindDocker)},
		MarkdownDescription: "Runs the deployment as containers on a Docker host. The agent, which keeps the ledger and carries the traffic, is one more container there. " +
			"`image` is an image reference.",
		Attributes: attributes,
	}
}

// dockerWorkloadAttributes are what a release consists of on Docker, beside what
// it consists of everywhere.
func dockerWorkloadAttributes() map[string]resource.Attribute {
	return map[string]resource.Attribute{
		"network": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: "A network that the containers join as well, to reach a database for example. It must exist." + newRelease,
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"volumes": resource.ListNestedAttribute{
			Optional:            true,
			MarkdownDescription: "Directories that outlive the containers. Both environments use them at the same time." + newRelease,
			NestedObject: resource.NestedAttributeObject{Attributes: map[string]resource.Attribute{
				"container_path": resource.StringAttribute{
					Required:            true,
					MarkdownDescription: "Where the containers see it, an absolute path.",
					Validators:          []validator.String{absolutePath()},
				},
				"volume_name": resource.StringAttribute{
					Optional:            true,
					MarkdownDescription: "The volume. Docker makes one that does not exist; it is not removed with the deployment. Give this or `host_path`.",
					Validators: []validator.String{
						stringvalidator.LengthAtLeast(1),
						stringvalidator.ExactlyOneOf(siblings("volume_name", "host_path")...),
					},
				},
				"host_path": resource.StringAttribute{
					Optional:            true,
					MarkdownDescription: "A directory of the Docker host, an absolute path.",
					Validators:          []validator.String{absolutePath()},
				},
				"read_only": resource.BoolAttribute{
					Optional: true, Computed: true,
					Default:             booldefault.StaticBool(false),
					MarkdownDescription: "Whether the containers can only read it. Default `false`.",
				},
			}},
		},
		"memory": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: "How much memory a container may use, such as `\"512m\"` or `\"2g\"`. Default: no limit." + newRelease,
			Validators:          []validator.String{memorySize{}},
		},
		"cpus": resource.Float64Attribute{
			Optional:            true,
			MarkdownDescription: "How many CPUs a container may use, such as `0.5`. Default: no limit." + newRelease,
			Validators:          []validator.Float64{float64validator.AtLeast(0.01)},
		},
		"user": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: "Who runs the process in the container: a name, `uid` or `uid:gid`. Default: what the image says." + newRelease,
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"read_only": resource.BoolAttribute{
			Optional: true, Computed: true,
			Default:             booldefault.StaticBool(false),
			MarkdownDescription: "Whether the containers' own file system can only be read. Default `false`." + newRelease,
		},
		"labels": resource.MapAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Labels of the containers. Those that begin with `" + docker.LabelPrefix + "` are the provider's own." + newRelease,
			Validators:          []validator.Map{mapvalidator.NoNullValues(), mapvalidator.KeysAre(foreignLabel{})},
		},
		"extra_hosts": resource.ListAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Lines for the containers' `/etc/hosts`, `name:address`, such as `\"host.docker.internal:host-gateway\"`." + newRelease,
			Validators:          []validator.List{listvalidator.ValueStringsAre(stringvalidator.RegexMatches(extraHost, "must be name:address"))},
		},
		"log_driver": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: "The containers' logging driver. Default: the engine's." + newRelease,
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"log_options": resource.MapAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "The options of the logging driver." + newRelease,
			Validators:          []validator.Map{mapvalidator.NoNullValues()},
		},
	}
}

func dockerProviderAttribute() provider.SingleNestedAttribute {
	return provider.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Which Docker host the `docker` platform uses. Without it: `DOCKER_HOST`, `DOCKER_CONTEXT`, the context that `docker context use` chose, or the " +
			"default socket, as for the `docker` command. Nothing is connected to before an operation needs it.",
		Attributes: map[string]provider.Attribute{
			"host": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: "`unix:///path`, `tcp://host:port` or `ssh://user@host`. Default: `DOCKER_HOST`. It goes before `context`.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"context": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: "A context of the `docker` command. Default: `DOCKER_CONTEXT`.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"cert_path": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: "A directory with `ca.pem`, `cert.pem` and `key.pem` for `tcp`. Default: `DOCKER_CERT_PATH`.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"ca_material": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: "The certificate of the authority that the host's certificate is verified against, in PEM. It goes before `cert_path`.",
			},
			"cert_material": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: "The client's certificate in PEM. It goes before `cert_path`.",
				Validators:          []validator.String{stringvalidator.AlsoRequires(siblings("key_material")...)},
			},
			"key_material": provider.StringAttribute{
				Optional: true, Sensitive: true,
				MarkdownDescription: "The client's key in PEM. It goes before `cert_path`.",
				Validators:          []validator.String{stringvalidator.AlsoRequires(siblings("cert_material")...)},
			},
			"ssh_opts": provider.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Arguments for the `ssh` command, such as `[\"-o\", \"IdentityFile=~/.ssh/deploy\"]`, for a host `ssh://`.",
			},
			"agent_name": provider.StringAttribute{
				Optional: true,
				MarkdownDescription: "The name of the agent's container and of its volume on the host. Default `\"bluegreen-agent\"`. Agents of different names know nothing of each " +
					"other. Changing it does not move what is deployed.",
				Validators: []validator.String{stringvalidator.RegexMatches(containerName, "must be the name of a container: letters, digits, and, but not first, _ . and -")},
			},
			"registry_auth": provider.ListNestedAttribute{
				Optional: true,
				MarkdownDescription: "Credentials for pulling from registries. Those of a registry that is not listed are taken from the configuration of the `docker` command, " +
					"where `docker login` puts them.",
				NestedObject: provider.NestedAttributeObject{Attributes: map[string]provider.Attribute{
					"address": provider.StringAttribute{
						Required:            true,
						MarkdownDescription: "The registry's host, and port if it has one: `ghcr.io`, `registry.example.com:5000`.",
						Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
					},
					"username": provider.StringAttribute{Required: true, MarkdownDescription: "Who logs in."},
					"password": provider.StringAttribute{Required: true, Sensitive: true, MarkdownDescription: "The password or token."},
				}},
			},
		},
	}
}
