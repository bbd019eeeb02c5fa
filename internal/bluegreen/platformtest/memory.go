// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Memory is a platform in memory: the durable data, the instances and the traffic of
// deployments. It is a Harness. Its zero value is not usable; see NewMemory.
type Memory struct {
	mu          sync.Mutex
	deployments map[string]*memoryDeployment
	started     int
	// builds counts how often what an image names has changed.
	builds map[string]int
	// isAutoscaled is set once Autoscale was called. Traffic then goes to every instance.
	isAutoscaled bool
}

var _ Harness = (*Memory)(nil)

// memoryDeployment is everything that Memory has of a deployment.
type memoryDeployment struct {
	ledger  []byte
	archive []bluegreen.Record
	// route is the environment that traffic reaches, nil for none.
	route      *bluegreen.Environment
	holder     *memoryPlatform
	holderName string
	envs       map[bluegreen.Environment]*memoryEnvironment
	readiness  memoryReadiness
}

type memoryEnvironment struct {
	release   bluegreen.Release
	digest    string
	instances []bluegreen.Instance
	unhealthy bool
	// key is the ledger's. It goes when the environment is removed.
	key bluegreen.FingerprintKey
}

// NewMemory returns a Memory without any deployment.
func NewMemory() *Memory {
	return &Memory{deployments: map[string]*memoryDeployment{}, builds: map[string]int{}}
}

// behaviourKey is the environment variable that tells a release how to behave.
const behaviourKey = "BEHAVIOUR"

// Release returns a release of two replicas.
func (m *Memory) Release(version string, behaviour Behaviour) bluegreen.Release {
	return bluegreen.Release{
		Version: version, Image: "memory:" + version, Replicas: 2,
		Env: map[string]string{behaviourKey: string(behaviour), "SECRET": "s3cr3t"},
	}
}

// Checker returns a checker that probes an instance once, because waiting does not change
// its health.
func (m *Memory) Checker() bluegreen.Checker { return memoryChecker{} }

// Serves returns the version that traffic reaches, "" if no instance runs there.
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

// MakeUnhealthy makes env fail its health check.
func (m *Memory) MakeUnhealthy(_ testing.TB, deployment string, env bluegreen.Environment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deployments[deployment].envs[env].unhealthy = true
}

// Crash replaces each instance of env with a new run of it.
func (m *Memory) Crash(_ testing.TB, deployment string, env bluegreen.Environment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.deployments[deployment].envs[env]
	for i := range e.instances {
		e.instances[i].Running = false
	}
	(&memoryPlatform{memory: m, name: deployment}).start(e, env, len(e.instances))
}

// Exit makes the instance exit so. It does not run any more.
func (m *Memory) Exit(deployment, id, exit string) {
	m.change(deployment, id, func(i *bluegreen.Instance) { i.Running, i.Exit = false, exit })
}

// Restart replaces the instance, which exited so, with a new run of it.
func (m *Memory) Restart(deployment, id, exit string) {
	m.change(deployment, id, func(i *bluegreen.Instance) {
		m.started++
		i.Running, i.Exit, i.Incarnation = true, exit, fmt.Sprint(m.started)
	})
}

// Reboot ends all instances. They are pending until StartAll.
func (m *Memory) Reboot(deployment string) {
	m.changeAll(deployment, func(i *bluegreen.Instance) { i.Running, i.Pending, i.Incarnation = false, true, "" })
}

// StartAll starts the instances that are pending, each in a new run.
func (m *Memory) StartAll(deployment string) {
	m.changeAll(deployment, func(i *bluegreen.Instance) {
		if i.Pending {
			m.started++
			i.Running, i.Pending, i.Incarnation = true, false, fmt.Sprint(m.started)
		}
	})
}

// changeAll calls f with every instance.
func (m *Memory) changeAll(deployment string, f func(*bluegreen.Instance)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.deployments[deployment].envs {
		for i := range e.instances {
			f(&e.instances[i])
		}
	}
}

// change calls f with the instance that has this ID.
func (m *Memory) change(deployment, id string, f func(*bluegreen.Instance)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.deployments[deployment].envs[environmentOf(bluegreen.Instance{ID: id})]
	i := slices.IndexFunc(e.instances, func(i bluegreen.Instance) bool { return i.ID == id })
	f(&e.instances[i])
}

// Open returns a new process.
func (m *Memory) Open(_ testing.TB, deployment string) Process {
	p := &memoryPlatform{memory: m, name: deployment}
	return Process{Platform: p, Kill: p.unlock}
}

// memoryPlatform is the platform of one deployment in one process.
type memoryPlatform struct {
	memory *Memory
	name   string
	// key is that of the last commit of the process, or of its last Load.
	key bluegreen.FingerprintKey
}

var _ bluegreen.Platform = (*memoryPlatform)(nil)

var errNoLock = errors.New("the lock is not held")

// unlock releases the lock if the process holds it.
func (p *memoryPlatform) unlock() {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	if d := p.memory.deployments[p.name]; d != nil && d.holder == p {
		d.holder = nil
	}
}

// with runs f on the deployment, which it adds to Memory if it is not there yet.
func (p *memoryPlatform) with(ctx context.Context, f func(*memoryDeployment) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	d := p.memory.deployments[p.name]
	if d == nil {
		d = &memoryDeployment{
			envs:      map[bluegreen.Environment]*memoryEnvironment{},
			readiness: newMemoryReadiness(),
		}
		p.memory.deployments[p.name] = d
	}
	return f(d)
}

// withLockHeld runs f as with does, if the process holds the lock.
func (p *memoryPlatform) withLockHeld(ctx context.Context, f func(*memoryDeployment) error) error {
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
		l, err = d.load()
		p.key = cmp.Or(l.Key, p.key)
		return err
	})
	return l, err
}

func (p *memoryPlatform) Commit(ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record) error {
	return p.withLockHeld(ctx, func(d *memoryDeployment) error {
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
		p.key = next.Key
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
	return p.withLockHeld(ctx, func(d *memoryDeployment) error {
		d.ledger, d.archive, d.route = nil, nil, nil
		return nil
	})
}

func (p *memoryPlatform) Lock(ctx context.Context, holder string) (func(), error) {
	err := p.with(ctx, func(d *memoryDeployment) error {
		if d.holder != nil {
			return &bluegreen.LockedError{Holder: bluegreen.Holder{Name: d.holderName}}
		}
		d.holder, d.holderName = p, holder
		return nil
	})
	return p.unlock, err
}

func (p *memoryPlatform) AwaitTraffic(ctx context.Context, env bluegreen.Environment) error {
	return p.with(ctx, func(d *memoryDeployment) error {
		if d.route == nil || *d.route != env {
			return fmt.Errorf("traffic does not reach %s", env)
		}
		return nil
	})
}

// CanReceiveTraffic is true for every run of an instance that passed, because a restart
// is not followed by a health check.
func (p *memoryPlatform) CanReceiveTraffic(passed []bluegreen.InstanceRef, instance bluegreen.InstanceRef) bool {
	hasPassed := func(ref bluegreen.InstanceRef) bool { return ref.ID == instance.ID }
	return p.memory.isAutoscaled || slices.ContainsFunc(passed, hasPassed)
}

func (p *memoryPlatform) Drain(ctx context.Context, _ bluegreen.Environment) error { return ctx.Err() }

func (p *memoryPlatform) Observe(ctx context.Context) (status bluegreen.Status, err error) {
	err = p.with(ctx, func(d *memoryDeployment) error {
		if d.ledger == nil {
			return bluegreen.ErrNotFound
		}
		status.Endpoint, status.Preview = "memory://"+p.name, "memory://"+p.name+"-preview"
		status.Running, status.Unready = map[bluegreen.Environment]int{}, map[bluegreen.Environment]int{}
		if status.Ledger, err = d.load(); err != nil {
			return err
		}
		for env, e := range d.envs {
			slot := status.Ledger.Slot(env)
			for _, instance := range running(e.instances) {
				if !slot.IsCounted(instance.Ref(), p.CanReceiveTraffic) {
					continue
				}
				status.Running[env]++
				if d.readiness.isUnready(instance) {
					status.Unready[env]++
				}
			}
		}
		return nil
	})
	return status, err
}
