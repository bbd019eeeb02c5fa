// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/images"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

func (a *agent) putEnvironment(ctx context.Context, r *http.Request) (any, error) {
	body, err := decode[api.ProvisionRequest](r)
	if err != nil {
		return nil, err
	}
	env, err := parseEnvironment(r)
	if err != nil {
		return nil, err
	}
	if err := checkSize(body.Release.Replicas); err != nil {
		return nil, err
	}
	if err := body.Settings.Check(); err != nil {
		return nil, err
	}
	body.Release.Env, body.Release.Settings = body.Env, body.Settings
	if body.Ports != "" {
		if _, err := process.ParsePortRange(body.Ports); err != nil {
			return nil, fmt.Errorf("%w: %w", api.ErrInvalid, err)
		}
	}
	digest, err := a.provision(ctx, r.PathValue("name"), env, body.Release, body.Ports)
	if err != nil {
		return nil, err
	}
	return api.ProvisionReply{Digest: digest}, nil
}

// postImage copies the image of a release. The copy stays until images that nothing
// uses are collected.
func (a *agent) postImage(ctx context.Context, r *http.Request) (any, error) {
	body, err := decode[api.PrepareRequest](r)
	if err != nil {
		return nil, err
	}
	if err := body.Settings.Check(); err != nil {
		return nil, err
	}
	release := body.Release
	release.Settings = body.Settings
	digest, releaseImage, err := a.images.Acquire(ctx, imageOf(release), release.ImageDigest)
	if err != nil {
		return nil, err
	}
	defer releaseImage()
	if _, err := images.Argv(a.images.Path(digest), release.Image, release.Command, release.Args); err != nil {
		return nil, err
	}
	return api.ProvisionReply{Digest: digest}, nil
}

func imageOf(release bluegreen.Release) images.Image {
	settings, _ := release.Settings.(process.Settings)
	return images.Image{Path: release.Image, Command: release.Command, FollowsLinks: settings.FollowLinks}
}

// provision makes an environment run exactly release and returns the digest of
// its image.
func (a *agent) provision(
	ctx context.Context, name string, env bluegreen.Environment, release bluegreen.Release, ports string,
) (string, error) {
	d, err := a.create(name)
	if err != nil {
		return "", err
	}
	digest, releaseImage, err := a.images.Acquire(ctx, imageOf(release), release.ImageDigest)
	if err != nil {
		return "", err
	}
	// Former images go even if the new one does not start.
	defer a.collectImages(ctx)
	defer releaseImage()
	argv, err := images.Argv(a.images.Path(digest), release.Image, release.Command, release.Args)
	if err != nil {
		return "", err
	}
	fingerprint := release.Fingerprint
	if fingerprint == "" {
		fingerprint = release.Seal("").Fingerprint
	}
	settings, _ := release.Settings.(process.Settings)
	next := &store.Workload{
		Schema: store.Schema, Version: release.Version, Fingerprint: fingerprint,
		Digest: digest, Argv: argv, Env: release.Env, Replicas: release.Replicas,
		Settings: settings, Ports: ports,
	}
	next.Revision = next.NewRevision()
	return digest, d.provision(ctx, env, next)
}

func (a *agent) putSize(ctx context.Context, r *http.Request) (any, error) {
	body, err := decode[api.ScaleRequest](r)
	if err != nil {
		return nil, err
	}
	if err := checkSize(body.Replicas); err != nil {
		return nil, err
	}
	d, env, err := a.existingEnvironmentOf(r)
	if err != nil {
		return nil, err
	}
	return nil, d.scale(ctx, env, body.Replicas)
}

func checkSize(replicas int) error {
	if replicas < 0 {
		return fmt.Errorf("%w: the number of replicas is negative: %d", api.ErrInvalid, replicas)
	}
	return nil
}

func (a *agent) deleteEnvironment(ctx context.Context, r *http.Request) (any, error) {
	d, env, err := a.environmentOf(r)
	if err != nil || d == nil {
		return nil, err
	}
	defer a.collectImages(ctx)
	return nil, d.remove(ctx, env)
}

// getInstances lists the processes of an environment, or its external replicas. It knows of
// these only whether they are healthy.
func (a *agent) getInstances(_ context.Context, r *http.Request) (any, error) {
	d, env, err := a.environmentOf(r)
	list := []api.InstanceReply{}
	if err != nil || d == nil {
		return list, err
	}
	for _, status := range d.environments[env].instances() {
		instance := bluegreen.Instance{
			ID: status.ID, Incarnation: status.Incarnation, Running: status.IsRunning, Exit: status.Exit,
			Pending: !status.IsRunning && status.Exit == "",
		}
		if status.IsRunning {
			instance.Unready = d.observedCause(env, router.Backend{ID: status.ID, Addr: status.Address()})
		}
		list = append(list, listenerReply(status, instance))
	}
	for _, r := range d.environments[env].externalReplicas().Replicas {
		list = append(list, api.InstanceReply{Instance: bluegreen.Instance{
			ID: r.ID, Incarnation: r.Incarnation, Running: true,
			Unready: d.observedCause(env, router.Backend{ID: r.Backend(), Addr: r.Address}),
		}, Address: r.Address})
	}
	return list, nil
}

// getListener finds out who listens on the port of an instance, and answers where the instance
// is reached.
func (a *agent) getListener(_ context.Context, r *http.Request) (any, error) {
	d, name, err := a.existingEnvironmentOf(r)
	if err != nil {
		return nil, err
	}
	status, err := d.environments[name].look(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	reply := listenerReply(status, bluegreen.Instance{
		ID: status.ID, Incarnation: status.Incarnation, Running: status.IsRunning, Exit: status.Exit,
	})
	reply.Listeners = status.Listeners
	return reply, nil
}

// listenerReply adds to instance where it listens. A client of an earlier version connects to
// any address that it gets.
func listenerReply(status process.Status, instance bluegreen.Instance) api.InstanceReply {
	reply := api.InstanceReply{Instance: instance, NotListening: status.NotListening}
	if status.IsListening {
		reply.Address = status.Address()
	}
	return reply
}

func (a *agent) postAwait(ctx context.Context, r *http.Request) (any, error) {
	d, env, err := a.existingEnvironmentOf(r)
	if err != nil {
		return nil, err
	}
	return nil, d.frontend.AwaitTraffic(ctx, env)
}

func (a *agent) postDrain(ctx context.Context, r *http.Request) (any, error) {
	d, env, err := a.environmentOf(r)
	if err != nil || d == nil {
		return nil, err
	}
	return nil, d.drain(ctx, env, "")
}

func (a *agent) getLogs(_ context.Context, r *http.Request) (any, error) {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil {
		return nil, fmt.Errorf("%w: n: %w", api.ErrInvalid, err)
	}
	env, status, err := a.instanceOf(r)
	if err != nil {
		return nil, err
	}
	list, err := process.Logs(store.ReplicaDir(env.dir, status.ID), n)
	if err != nil {
		return nil, fmt.Errorf("reading the log of %s: %w", status.ID, err)
	}
	return append([]string{}, list...), nil
}

func (a *agent) postExec(ctx context.Context, r *http.Request) (any, error) {
	body, err := decode[api.ExecRequest](r)
	if err != nil {
		return nil, err
	}
	if len(body.Command) == 0 {
		return nil, fmt.Errorf("%w: there is no command", api.ErrInvalid)
	}
	env, status, err := a.instanceOf(r)
	if err != nil {
		return nil, err
	}
	return nil, env.exec(ctx, status.ID, body.Command)
}

func (a *agent) postRestart(ctx context.Context, r *http.Request) (any, error) {
	body, err := decode[api.RestartRequest](r)
	if err != nil {
		return nil, err
	}
	d, env, err := a.existingEnvironmentOf(r)
	if err != nil {
		return nil, err
	}
	return nil, d.restart(ctx, env, r.PathValue("id"), body.Incarnation)
}

// instanceOf returns the instance that a request is about.
func (a *agent) instanceOf(r *http.Request) (*environment, process.Status, error) {
	d, name, err := a.existingEnvironmentOf(r)
	if err != nil {
		return nil, process.Status{}, err
	}
	env := d.environments[name]
	status, _, err := env.find(r.PathValue("id"))
	return env, status, err
}
