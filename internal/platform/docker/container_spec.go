// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// containerSpec describes the containers of an environment. The agent stores it, so
// that a missing container can be created again from the same description.
type containerSpec struct {
	Version string `json:"version"`
	// Image is the image's ID. Reference is the image as the release names it.
	Image     string   `json:"image"`
	Reference string   `json:"reference,omitempty"`
	Command   []string `json:"command,omitempty"`
	Args      []string `json:"args,omitempty"`
	// Env may hold secrets.
	Env      map[string]string `json:"env,omitempty"`
	Workload Workload          `json:"workload"`
	// Triggers is the digest of the release's triggers.
	Triggers string `json:"triggers,omitempty"`
}

// fingerprint identifies the spec. A container carries the fingerprint of the spec
// that it was created from as a label.
func (s containerSpec) fingerprint() string {
	s.Reference = ""
	// Strings, numbers, and slices and maps of strings always encode; map keys are sorted.
	encoded, _ := json.Marshal(s)
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

// replica is the place of one container in an environment.
type replica struct {
	env    bluegreen.Environment
	number int
	// address is the replica's fixed address in the deployment's network.
	address netip.Addr
}

func (r replica) id() string { return fmt.Sprintf("%s-%d", r.env, r.number) }

// endpoint returns the address that the replica's service listens on.
func (r replica) endpoint(port int) string {
	return netip.AddrPortFrom(r.address, uint16(port)).String()
}

// networkEndpoint returns how the replica is connected to the deployment's network.
func (r replica) networkEndpoint() *network.EndpointSettings {
	return &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: r.address}}
}

// createOptions returns what the engine needs to create the replica's container.
func (p *Platform) createOptions(spec containerSpec, r replica) client.ContainerCreateOptions {
	labels := maps.Clone(spec.Workload.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, p.labels())
	labels[labelEnvironment], labels[labelReplica] = string(r.env), r.id()
	labels[labelVersion], labels[labelFingerprint] = spec.Version, spec.fingerprint()
	return client.ContainerCreateOptions{
		Name: p.containerName(r.id()),
		Config: &container.Config{
			Image: spec.Image, Entrypoint: spec.Command, Cmd: spec.Args,
			Env: spec.variables(r.env), User: spec.Workload.User, Labels: labels,
		},
		HostConfig: spec.Workload.hostConfig(p.networkName()),
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			p.networkName(): r.networkEndpoint(),
		}},
	}
}

func (p *Platform) containerName(instance string) string { return p.name + "-" + instance }

// variables returns the environment variables of a replica, sorted by name. The
// provider's own variables override those of the release.
func (s containerSpec) variables(env bluegreen.Environment) []string {
	all := map[string]string{}
	maps.Copy(all, s.Env)
	maps.Copy(all, map[string]string{
		"PORT":                  strconv.Itoa(s.Workload.Port),
		"HOST":                  "0.0.0.0",
		"BLUEGREEN_ENVIRONMENT": string(env),
		"BLUEGREEN_VERSION":     s.Version,
	})
	list := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, name+"="+all[name])
	}
	return list
}

// hostConfig returns the part of a container's configuration that depends on the
// host: its network, mounts, limits, logs and restart policy.
func (w Workload) hostConfig(networkName string) *container.HostConfig {
	config := &container.HostConfig{
		NetworkMode:    container.NetworkMode(networkName),
		RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
		ReadonlyRootfs: w.ReadOnly,
		ExtraHosts:     w.ExtraHosts,
		LogConfig:      container.LogConfig{Type: w.LogDriver, Config: w.LogOptions},
		Resources:      container.Resources{Memory: w.Memory, NanoCPUs: int64(w.CPUs * 1e9)},
	}
	for _, v := range w.Volumes {
		m := mount.Mount{Type: mount.TypeVolume, Source: v.Name, Target: v.ContainerPath, ReadOnly: v.ReadOnly}
		if v.HostPath != "" {
			m.Type, m.Source = mount.TypeBind, v.HostPath
		}
		config.Mounts = append(config.Mounts, m)
	}
	return config
}
