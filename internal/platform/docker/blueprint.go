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

// blueprint is what the containers of an environment are made from. The agent
// keeps it, so that one that is missing can be made again.
type blueprint struct {
	Version string `json:"version"`
	// Image is the image's ID, and Reference what the release calls it.
	Image     string   `json:"image"`
	Reference string   `json:"reference,omitempty"`
	Command   []string `json:"command,omitempty"`
	Args      []string `json:"args,omitempty"`
	// Env may hold secrets.
	Env      map[string]string `json:"env,omitempty"`
	Workload Workload          `json:"workload"`
}

// fingerprint tells whether a container was made from this blueprint.
func (b blueprint) fingerprint() string {
	b.Reference = ""
	// Strings, numbers, and slices and maps of strings always encode; map keys are sorted.
	encoded, _ := json.Marshal(b)
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}

// replica is one container of an environment.
type replica struct {
	env    bluegreen.Environment
	number int
	// address is its own in the deployment's network.
	address netip.Addr
}

func (r replica) id() string { return fmt.Sprintf("%s-%d", r.env, r.number) }

// serves is where its service listens.
func (r replica) serves(port int) string {
	return netip.AddrPortFrom(r.address, uint16(port)).String()
}

// create is how the replica's container is made.
func (p *Platform) create(b blueprint, r replica) client.ContainerCreateOptions {
	labels := maps.Clone(b.Workload.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, p.labels())
	labels[labelEnvironment], labels[labelReplica] = string(r.env), r.id()
	labels[labelVersion], labels[labelFingerprint] = b.Version, b.fingerprint()
	return client.ContainerCreateOptions{
		Name: p.containerName(r.id()),
		Config: &container.Config{
			Image: b.Image, Entrypoint: b.Command, Cmd: b.Args,
			Env: b.environ(r.env), User: b.Workload.User, Labels: labels,
		},
		HostConfig: b.Workload.host(p.networkName()),
		NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{
			p.networkName(): {IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: r.address}},
		}},
	}
}

func (p *Platform) containerName(instance string) string { return p.name + "-" + instance }

// environ is the environment of a replica. What the provider says about it goes
// over what the release says.
func (b blueprint) environ(env bluegreen.Environment) []string {
	all := map[string]string{}
	maps.Copy(all, b.Env)
	maps.Copy(all, map[string]string{
		"PORT":                  strconv.Itoa(b.Workload.Port),
		"HOST":                  "0.0.0.0",
		"BLUEGREEN_ENVIRONMENT": string(env),
		"BLUEGREEN_VERSION":     b.Version,
	})
	list := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, name+"="+all[name])
	}
	return list
}

// host is how a container lives on the host.
func (w Workload) host(networkName string) *container.HostConfig {
	host := &container.HostConfig{
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
		host.Mounts = append(host.Mounts, m)
	}
	return host
}
