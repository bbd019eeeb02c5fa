// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestFailuresSayWhatToDo(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	for name, c := range map[string]struct {
		change func(*bluegreen.Release, *Workload)
		wants  []string
	}{
		"exit at start": {
			func(r *bluegreen.Release, _ *Workload) { *r = h.release("1.0.0", agenttest.Crashing) },
			[]string{"2 of 2 replicas unhealthy", "exited: exit status 3"},
		},
		"no such command": {
			func(r *bluegreen.Release, _ *Workload) { r.Command = []string{"/nowhere"} },
			[]string{"starting container", "/nowhere", "no such file"},
		},
		"no such image": {
			func(r *bluegreen.Release, _ *Workload) { r.Image = "127.0.0.1:1/nobody:1" },
			[]string{"image 127.0.0.1:1/nobody:1", "connection refused"},
		},
		"no such directory": {
			func(_ *bluegreen.Release, w *Workload) {
				w.Volumes = []Volume{{HostPath: "/nowhere/at/all", ContainerPath: "/data"}}
			},
			[]string{"/nowhere/at/all", "does not exist"},
		},
		"no such network": {
			func(_ *bluegreen.Release, w *Workload) { w.Network = "bgtest-nowhere" },
			[]string{"network bgtest-nowhere", "not found"},
		},
		"no such log driver": {
			func(_ *bluegreen.Release, w *Workload) { w.LogDriver = "quill" },
			[]string{"quill"},
		},
		"too little memory": {
			func(_ *bluegreen.Release, w *Workload) { w.Memory = 1 << 20 },
			[]string{"memory limit"},
		},
		"out of memory": {
			func(r *bluegreen.Release, w *Workload) { w.Memory = 8 << 20; r.Args = []string{"hog"} },
			[]string{"exit status 137", "memory"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			release, workload := h.release("1.0.0", agenttest.Healthy), Workload{Port: servicePort}
			release.Version = "2.0.0"
			c.change(&release, &workload)
			release.Settings = workload
			err := s.DeployAndSwitch(t.Context(), release)
			if err == nil {
				t.Fatal("it was deployed")
			}
			for _, want := range c.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
			s.expectVersion("1.0.0")
		})
	}
}

func TestErrorAboutATakenAddressNamesItsOwner(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	address := agenttest.FreeAddress(t)
	host, port, err := net.SplitHostPort(address)
	h.must(err)
	owner := h.name + "-owner"
	made, err := h.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: owner,
		Config: &container.Config{
			Image:        h.release("1.0.0", agenttest.Healthy).Image,
			Env:          []string{"BLUEGREEN_TEST_REPLICA=healthy", "PORT=80"},
			ExposedPorts: network.PortSet{network.MustParsePort("80/tcp"): {}},
		},
		HostConfig: &container.HostConfig{PortBindings: network.PortMap{
			network.MustParsePort("80/tcp"): {{HostIP: netip.MustParseAddr(host), HostPort: port}},
		}},
	})
	h.must(err)
	h.must(errorOf(h.engine.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{})))
	opts := h.options(h.name)
	opts.Frontend.Listen = []string{address}
	s := h.newServiceWith(t, opts)
	desired := bluegreen.Desired{Release: h.release("1.0.0", agenttest.Healthy), Promote: true, MinHealthyPercent: 100}
	_, err = s.Create(t.Context(), desired)
	var taken *AddressError
	if !errors.As(err, &taken) || taken.Address != address || !strings.Contains(err.Error(), owner) {
		t.Errorf("got %v, want the name of %s", err, owner)
	}
	h.removeContainer(made.ID)
	_, err = s.Create(t.Context(), desired)
	h.must(err)
	s.expectVersion("1.0.0")

	opts.Name += "-2"
	second := h.newServiceWith(t, opts)
	_, err = second.Create(t.Context(), desired)
	if !errors.As(err, &taken) || taken.Deployment != h.name {
		t.Errorf("got %v, want the name of deployment %s", err, h.name)
	}
}

func TestAgentThatCannotBeCreatedSaysWhy(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	opts := h.options(h.name)
	opts.Agent.Image = "127.0.0.1:1/no-such-agent:1"
	_, err := h.openWith(t, opts).Lock(t.Context(), "tester@host (pid 1)")
	var missing *ImageError
	if !errors.As(err, &missing) || missing.Image != opts.Agent.Image || !contains(err, "connection refused") {
		t.Errorf("got %v", err)
	}
}

// An agent that does not answer says nothing about a replica.
func TestAgentThatDoesNotAnswerSaysNothingAboutAReplica(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	instance := s.instances(bluegreen.Green)[0]
	s.must(errorOf(h.engine.ContainerStop(t.Context(), h.name, client.ContainerStopOptions{})))
	if _, err := s.platform.Dial(t.Context(), instance); !errors.Is(err, bluegreen.ErrCouldNotAsk) {
		t.Errorf("got %v", err)
	}
}

// A replica that exits again and again, and answers in between, does not pass the watch.
func TestReplicaThatRestartsDoesNotPassTheWatch(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	s.Config.BakeTime, s.Config.UnhealthyThreshold = time.Minute, 1
	s.Progress = func(message string) {
		if strings.HasPrefix(message, "watching") {
			s.crash("blue-1")
		}
	}
	err := s.DeployAndSwitch(t.Context(), s.release("2.0.0", agenttest.Healthy))
	if !errors.Is(err, bluegreen.HealthCheckFailed) || !contains(err, "exited: exit status 7") {
		t.Errorf("got %v", err)
	}
	s.expectVersion("1.0.0")
}
