// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Memory is a machine that exists in memory only: what is durable there, its
// instances and its traffic. It is a Harness.
type Memory struct {
	mu          sync.Mutex
	deployments map[string]*memoryDeployment
	started     int
	// autoscales is set where others than the engine start instances: traffic goes
	// to whatever runs.
	autoscales bool
}

var _ Harness = (*Memory)(nil)

// memoryDeployment is what the machine keeps of a deployment.
type memoryDeployment struct {
	ledger  []byte
	archive []bluegreen.Record
	// route is the environment that traffic reaches; nil is none.
	route      *bluegreen.Environment
	holder     *memoryPlatform
	holderName string
	envs       map[bluegreen.Environment]*memoryEnvironment
	judgement  memoryJudgement
}

type memoryEnvironment struct {
	release   bluegreen.Release
	instances []bluegreen.Instance
	sick      bool
}

// NewMemory returns an empty machine.
func NewMemory() *Memory { return &Memory{deployments: map[string]*memoryDeployment{}} }

// behaviourKey is the environment variable that tells a release how to behave.
const behaviourKey = "BEHAVIOUR"

// Release returns a release that serves its version from memory.
func (m *Memory) Release(version string, behaviour Behaviour) bluegreen.Release {
	return bluegreen.Release{
		Version: version, Image: "memory:" + version, Replicas: 2,
		Env: map[string]string{behaviourKey: string(behaviour), "SECRET": "s3cr3t"},
	}
}

// Checker returns a checker that asks an instance once: its health cannot change by waiting.
func (m *Memory) Checker() bluegreen.Checker { return memoryChecker{} }

// Serves returns the version that the first instance with traffic answers.
func (m *Memory) Serves(_ testing.TB, deployment string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.deployments[deployment]
	if d == nil || d.route == nil {
		return ""
	}
	env := d.envs[*d.route]
	if env == nil || len(running(env.instances)) == 0 {
		return ""
	}
	return env.release.Version
}

// Sicken makes env fail its health check.
func (m *Memory) Sicken(_ testing.TB, deployment string, env bluegreen.Environment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deployments[deployment].envs[env].sick = true
}

// Crash makes env run again in the place of what ran there.
func (m *Memory) Crash(_ testing.TB, deployment string, env bluegreen.Environment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.deployments[deployment].envs[env]
	for i := range e.instances {
		e.instances[i].Running = false
	}
	(&memoryPlatform{machine: m, name: deployment}).start(e, env, len(e.instances))
}

// Open returns a process on this machine.
func (m *Memory) Open(_ testing.TB, deployment string) Process {
	p := &memoryPlatform{machine: m, name: deployment}
	return Process{Platform: p, Kill: p.die}
}

// memoryPlatform is the machine in the hands of one process.
type memoryPlatform struct {
	machine *Memory
	name    string
}

var _ bluegreen.Platform = (*memoryPlatform)(nil)

var errNoLock = errors.New("the lock is not held")

// die frees what the process held.
func (p *memoryPlatform) die() {
	p.machine.mu.Lock()
	defer p.machine.mu.Unlock()
	if d := p.machine.deployments[p.name]; d != nil && d.holder == p {
		d.holder = nil
	}
}

// with runs f on the deployment, which comes into being by being looked at.
func (p *memoryPlatform) with(ctx context.Context, f func(*memoryDeployment) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.machine.mu.Lock()
	defer p.machine.mu.Unlock()
	d := p.machine.deployments[p.name]
	if d == nil {
		d = &memoryDeployment{envs: map[bluegreen.Environment]*memoryEnvironment{}, judgement: newMemoryJudgement()}
		p.machine.deployments[p.name] = d
	}
	return f(d)
}

// changing is with for a process that must hold the lock.
func (p *memoryPlatform) changing(ctx context.Context, f func(*memoryDeployment) error) error {
	return p.with(ctx, func(d *memoryDeployment) error {
		if d.holder != p {
			return errNoLock
		}
		return f(d)
	})
}

func (p *memoryPlatform) Load(ctx context.Context) (l bluegreen.Ledger, err error) {
	err = p.with(ctx, func(d *memoryDeployment) error {
		if d.ledger == nil {
			return bluegreen.ErrNotFound
		}
		l, err = d.seen()
		return err
	})
	return l, err
}

func (p *memoryPlatform) Commit(ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record) error {
	return p.changing(ctx, func(d *memoryDeployment) error {
		var stored bluegreen.Ledger
		if d.ledger != nil {
			if err := json.Unmarshal(d.ledger, &stored); err != nil {
				return err
			}
		}
		if next.Generation != stored.Generation+1 {
			return bluegreen.ErrStale
		}
		encoded, err := json.Marshal(next)
		if err != nil {
			return err
		}
		d.ledger, d.archive, d.route = encoded, append(d.archive, closed...), nil
		if next.IsServing() {
			d.route = &next.Live
		}
		return nil
	})
}

func (p *memoryPlatform) History(ctx context.Context) (records []bluegreen.Record, err error) {
	err = p.with(ctx, func(d *memoryDeployment) error {
		records = slices.Clone(d.archive)
		return nil
	})
	return records, err
}

func (p *memoryPlatform) Erase(ctx context.Context) error {
	return p.changing(ctx, func(d *memoryDeployment) error {
		d.ledger, d.archive, d.route = nil, nil, nil
		return nil
	})
}

func (p *memoryPlatform) Lock(ctx context.Context, holder string) (func(), error) {
	err := p.with(ctx, func(d *memoryDeployment) error {
		if d.holder != nil {
			return &bluegreen.HolderError{Holder: bluegreen.Holder{Name: d.holderName}}
		}
		d.holder, d.holderName = p, holder
		return nil
	})
	return p.die, err
}

func (p *memoryPlatform) Provision(ctx context.Context, env bluegreen.Environment, release bluegreen.Release) (string, error) {
	digest := "sha256:" + release.Version
	return digest, p.changing(ctx, func(d *memoryDeployment) error {
		if e := d.envs[env]; e == nil || e.release.Seal().Fingerprint != release.Seal().Fingerprint {
			d.envs[env] = &memoryEnvironment{release: release}
		}
		p.start(d.envs[env], env, release.Replicas)
		return nil
	})
}

func (p *memoryPlatform) Scale(ctx context.Context, env bluegreen.Environment, replicas int) error {
	return p.changing(ctx, func(d *memoryDeployment) error {
		if d.envs[env] == nil {
			return bluegreen.ErrNotProvisioned
		}
		p.start(d.envs[env], env, replicas)
		return nil
	})
}

// start makes env run at its size.
func (p *memoryPlatform) start(e *memoryEnvironment, env bluegreen.Environment, replicas int) {
	for i := range replicas {
		if i < len(e.instances) && e.instances[i].Running {
			continue
		}
		p.machine.started++
		instance := bluegreen.Instance{ID: fmt.Sprintf("%s-%d", env, i+1), Incarnation: fmt.Sprint(p.machine.started), Running: true}
		if e.release.Env[behaviourKey] == string(Crashing) {
			instance.Running, instance.Exit = false, "exit status 3"
		}
		if i < len(e.instances) {
			e.instances[i] = instance
		} else {
			e.instances = append(e.instances, instance)
		}
	}
	e.instances = e.instances[:replicas]
}

func (p *memoryPlatform) Instances(ctx context.Context, env bluegreen.Environment) (instances []bluegreen.Instance, err error) {
	err = p.with(ctx, func(d *memoryDeployment) error {
		if e := d.envs[env]; e != nil {
			instances = slices.Clone(e.instances)
		}
		for i := range instances {
			if verdict := d.judgement.on(instances[i]); len(verdict) > 0 && !verdict.IsHealthy() {
				instances[i].Unready = "the machine says so"
			}
		}
		return nil
	})
	return instances, err
}

// Dial connects to an instance, which says how it is and hangs up.
func (p *memoryPlatform) Dial(ctx context.Context, instance bluegreen.Instance) (conn net.Conn, err error) {
	err = p.with(ctx, func(d *memoryDeployment) error {
		e := d.envs[environmentOf(instance)]
		if e == nil || !slices.ContainsFunc(e.instances, func(i bluegreen.Instance) bool { return i.Ref() == instance.Ref() }) || !instance.Running {
			return errors.New("connection refused")
		}
		state := string(Healthy)
		if e.sick || e.release.Env[behaviourKey] == string(Unhealthy) {
			state = string(Unhealthy)
		}
		near, far := net.Pipe()
		conn = near
		go func() {
			// The other end may have gone; then nobody is told.
			_, _ = io.WriteString(far, state)
			_ = far.Close()
		}()
		return nil
	})
	return conn, err
}

func (p *memoryPlatform) Exec(ctx context.Context, instance bluegreen.Instance, command []string) error {
	return p.with(ctx, func(d *memoryDeployment) error {
		if e := d.envs[environmentOf(instance)]; e == nil || !slices.Contains(e.instances, instance) {
			return fmt.Errorf("no such instance: %s", instance.ID)
		}
		if command[0] != "true" {
			return fmt.Errorf("%s: exit status 1", command[0])
		}
		return nil
	})
}

func (p *memoryPlatform) Logs(ctx context.Context, instance bluegreen.Instance, n int) (lines []string, err error) {
	err = p.with(ctx, func(d *memoryDeployment) error {
		if e := d.envs[environmentOf(instance)]; e != nil {
			lines = []string{"starting " + e.release.Version, "I am " + e.release.Env[behaviourKey]}
		}
		lines = lines[max(len(lines)-n, 0):]
		return nil
	})
	return lines, err
}

func (p *memoryPlatform) Remove(ctx context.Context, env bluegreen.Environment) error {
	return p.changing(ctx, func(d *memoryDeployment) error {
		delete(d.envs, env)
		return nil
	})
}

func (p *memoryPlatform) AwaitTraffic(ctx context.Context, env bluegreen.Environment) error {
	return p.with(ctx, func(d *memoryDeployment) error {
		if d.route == nil || *d.route != env {
			return fmt.Errorf("traffic does not reach %s", env)
		}
		return nil
	})
}

// CanReceiveTraffic lets every run of a place in: whoever starts one again does not check it.
func (p *memoryPlatform) CanReceiveTraffic(passed []bluegreen.InstanceRef, instance bluegreen.InstanceRef) bool {
	return p.machine.autoscales || slices.ContainsFunc(passed, func(ref bluegreen.InstanceRef) bool { return ref.ID == instance.ID })
}

func (p *memoryPlatform) Drain(ctx context.Context, _ bluegreen.Environment) error { return ctx.Err() }

func (p *memoryPlatform) Observe(ctx context.Context) (status bluegreen.Status, err error) {
	err = p.with(ctx, func(d *memoryDeployment) error {
		if d.ledger == nil {
			return bluegreen.ErrNotFound
		}
		status.Endpoint, status.Preview = "memory://"+p.name, "memory://"+p.name+"-preview"
		status.Running = map[bluegreen.Environment]int{}
		if status.Ledger, err = d.seen(); err != nil {
			return err
		}
		for env, e := range d.envs {
			slot := status.Ledger.Slot(env)
			for _, instance := range running(e.instances) {
				if slot.IsCounted(instance.Ref(), p.CanReceiveTraffic) {
					status.Running[env]++
				}
			}
		}
		return nil
	})
	return status, err
}

func environmentOf(instance bluegreen.Instance) bluegreen.Environment {
	env, _, _ := strings.Cut(instance.ID, "-")
	return bluegreen.Environment(env)
}

func running(instances []bluegreen.Instance) []bluegreen.Instance {
	return slices.DeleteFunc(slices.Clone(instances), func(i bluegreen.Instance) bool { return !i.Running })
}

// memoryChecker dials an instance and listens to how it is.
type memoryChecker struct{}

func (c memoryChecker) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	verdict := c.Probe(ctx, target)
	if !verdict.IsHealthy() {
		// How the instance ended, if it did, is noted by the target.
		_ = target.Exited(ctx)
	}
	return verdict
}

func (memoryChecker) Probe(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	conn, err := target.Dial(ctx)
	if err != nil {
		return bluegreen.Verdict{"state": err}
	}
	defer conn.Close()
	state, err := io.ReadAll(conn)
	if err == nil && string(state) != string(Healthy) {
		err = fmt.Errorf("it says %q", state)
	}
	return bluegreen.Verdict{"state": err}
}
