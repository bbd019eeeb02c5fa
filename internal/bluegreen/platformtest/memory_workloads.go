// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// MoveImage makes what image names another build from now on.
func (m *Memory) MoveImage(image string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.builds[image]++
}

// Build returns the digest of the image that env runs.
func (m *Memory) Build(deployment string, env bluegreen.Environment) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deployments[deployment].envs[env].digest
}

// pin returns the digest of the release's image.
func (m *Memory) pin(release bluegreen.Release) string {
	if release.ImageDigest != "" {
		return release.ImageDigest
	}
	return fmt.Sprintf("sha256:%s-%d", release.Image, m.builds[release.Image])
}

func (p *memoryPlatform) Prepare(ctx context.Context, release bluegreen.Release) (digest string, err error) {
	err = p.withLockHeld(ctx, func(*memoryDeployment) error {
		digest = p.memory.pin(release)
		return nil
	})
	return digest, err
}

func (p *memoryPlatform) Provision(
	ctx context.Context, env bluegreen.Environment, release bluegreen.Release,
) (digest string, err error) {
	err = p.withLockHeld(ctx, func(d *memoryDeployment) error {
		digest = p.memory.pin(release)
		if e := d.envs[env]; e == nil || !e.release.HasFingerprint(release.Seal("").Fingerprint, "") {
			d.envs[env] = &memoryEnvironment{release: release, digest: digest}
		}
		d.envs[env].key = p.key
		p.start(d.envs[env], env, release.Replicas)
		return nil
	})
	return digest, err
}

// Restart begins a new run of the instance, which is ready.
func (p *memoryPlatform) Restart(
	ctx context.Context, env bluegreen.Environment, instance bluegreen.Instance,
) error {
	return p.withLockHeld(ctx, func(d *memoryDeployment) error {
		for i, now := range d.envs[env].instances {
			if now.Ref() != instance.Ref() {
				continue
			}
			p.memory.started++
			d.envs[env].instances[i].Incarnation = fmt.Sprint(p.memory.started)
			d.readiness.restarted[fmt.Sprint(p.memory.started)] = true
		}
		return nil
	})
}

func (p *memoryPlatform) Scale(ctx context.Context, env bluegreen.Environment, replicas int) error {
	return p.withLockHeld(ctx, func(d *memoryDeployment) error {
		if d.envs[env] == nil {
			return bluegreen.ErrNotProvisioned
		}
		p.start(d.envs[env], env, replicas)
		return nil
	})
}

// start makes env run this many replicas.
func (p *memoryPlatform) start(e *memoryEnvironment, env bluegreen.Environment, replicas int) {
	for i := range replicas {
		if i < len(e.instances) && e.instances[i].Running {
			continue
		}
		p.memory.started++
		instance := bluegreen.Instance{
			ID: fmt.Sprintf("%s-%d", env, i+1), Incarnation: fmt.Sprint(p.memory.started), Running: true,
		}
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

func (p *memoryPlatform) Instances(
	ctx context.Context, env bluegreen.Environment,
) (instances []bluegreen.Instance, err error) {
	err = p.with(ctx, func(d *memoryDeployment) error {
		if e := d.envs[env]; e != nil {
			instances = slices.Clone(e.instances)
		}
		for i := range instances {
			if d.readiness.isUnready(instances[i]) {
				instances[i].Unready = "the platform says so"
			}
		}
		return nil
	})
	return instances, err
}

// Dial connects to an instance, which writes its state and closes the connection.
func (p *memoryPlatform) Dial(ctx context.Context, instance bluegreen.Instance) (conn net.Conn, err error) {
	err = p.with(ctx, func(d *memoryDeployment) error {
		e := d.envs[environmentOf(instance)]
		sameRun := func(i bluegreen.Instance) bool { return i.Ref() == instance.Ref() }
		if e == nil || !slices.ContainsFunc(e.instances, sameRun) || !instance.Running {
			return errors.New("connection refused")
		}
		state := string(Healthy)
		if e.unhealthy || e.release.Env[behaviourKey] == string(Unhealthy) {
			state = string(Unhealthy)
		}
		near, far := net.Pipe()
		conn = near
		go func() {
			// The other end may be closed already.
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
	return p.withLockHeld(ctx, func(d *memoryDeployment) error {
		delete(d.envs, env)
		return nil
	})
}

// environmentOf returns the environment of an instance's ID.
func environmentOf(instance bluegreen.Instance) bluegreen.Environment {
	env, _, _ := strings.Cut(instance.ID, "-")
	return bluegreen.Environment(env)
}

// running returns those of instances that run.
func running(instances []bluegreen.Instance) []bluegreen.Instance {
	return slices.DeleteFunc(slices.Clone(instances), func(i bluegreen.Instance) bool { return !i.Running })
}
