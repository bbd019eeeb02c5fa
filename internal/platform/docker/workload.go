// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var _ bluegreen.Settings = Workload{}

// Workload holds the settings of a container that other platforms do not have. It is the
// Settings of a release, so that changing it makes another release.
type Workload struct {
	// Port is the port that the container listens on.
	Port int `json:"port"`
	// Network is a further network that the containers are connected to, "" for none. It
	// must exist.
	Network string   `json:"network,omitempty"`
	Volumes []Volume `json:"volumes,omitempty"`
	// Memory is the limit in bytes, 0 for none.
	Memory int64 `json:"memory,omitempty"`
	// CPUs is how many a container may use, 0 for all.
	CPUs float64 `json:"cpus,omitempty"`
	// User is "name", "uid" or "uid:gid". "" is the image's user.
	User     string            `json:"user,omitempty"`
	ReadOnly bool              `json:"read_only,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	// ExtraHosts are lines for /etc/hosts, "name:address".
	ExtraHosts []string `json:"extra_hosts,omitempty"`
	// LogDriver is the name of a log driver. "" is the engine's default.
	LogDriver  string            `json:"log_driver,omitempty"`
	LogOptions map[string]string `json:"log_options,omitempty"`
}

// Volume is a directory in the containers that outlives them.
type Volume struct {
	// Name is the name of a volume, and HostPath a directory on the host. One of them is
	// set.
	Name     string `json:"name,omitempty"`
	HostPath string `json:"host_path,omitempty"`
	// ContainerPath is absolute.
	ContainerPath string `json:"container_path"`
	ReadOnly      bool   `json:"read_only,omitempty"`
}

// Identity implements bluegreen.Settings.
func (w Workload) Identity() string {
	// Strings, numbers, and slices and maps of strings always encode; map keys are sorted.
	encoded, _ := json.Marshal(w)
	return string(encoded)
}

// workloadOf returns the settings that a release has for Docker.
func workloadOf(release bluegreen.Release) (Workload, error) {
	w, ok := release.Settings.(Workload)
	if !ok {
		return w, errors.New("the release was not made for Docker: it has no docker settings")
	}
	return w, w.Validate()
}

// Validate returns an error about values that no engine accepts.
func (w Workload) Validate() error {
	var problems []error
	if w.Port < 1 || w.Port > 65535 {
		problems = append(problems, fmt.Errorf("port %d is not between 1 and 65535", w.Port))
	}
	if w.Memory < 0 || w.CPUs < 0 {
		problems = append(problems, errors.New("memory and cpus cannot be negative"))
	}
	for _, volume := range w.Volumes {
		if (volume.Name == "") == (volume.HostPath == "") || !strings.HasPrefix(volume.ContainerPath, "/") {
			problems = append(problems, fmt.Errorf(
				"a volume needs an absolute container_path, here %q, and either a name or a host_path",
				volume.ContainerPath))
		}
	}
	for _, label := range slices.Sorted(maps.Keys(w.Labels)) {
		if strings.HasPrefix(label, LabelPrefix) {
			problems = append(problems, fmt.Errorf(
				"label %q: labels that begin with %q are the provider's own", label, LabelPrefix))
		}
	}
	return errors.Join(problems...)
}
