// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Instances implements bluegreen.Workloads.
func (p *Platform) Instances(ctx context.Context, env bluegreen.Environment) (list []bluegreen.Instance, err error) {
	defer p.engine.explain(&err)
	present, err := p.containers(ctx, env)
	if err != nil {
		return nil, err
	}
	list, err = each(present, func(f found) (bluegreen.Instance, error) { return p.instance(ctx, f) })
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b bluegreen.Instance) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// incarnation names a run of a container. The part before the slash is what the
// agent knows it by.
func incarnation(id, started string) string { return id + "/" + started }

// containerOf is the container of which instance is a run.
func containerOf(instance bluegreen.InstanceRef) string {
	id, _, _ := strings.Cut(instance.Incarnation, "/")
	return id
}

// inspectPatience is how long the engine may take to tell more of a container
// that does not run than its list does: while it starts one again it tells nothing.
const inspectPatience = 500 * time.Millisecond

// instance asks which run of a container it is, and how the one before ended.
func (p *Platform) instance(ctx context.Context, f found) (bluegreen.Instance, error) {
	instance := bluegreen.Instance{ID: f.instance, Incarnation: incarnation(f.id, "")}
	patient := ctx
	if !f.running() {
		var cancel context.CancelFunc
		patient, cancel = context.WithTimeout(ctx, inspectPatience)
		defer cancel()
	}
	inspected, err := p.engine.ContainerInspect(patient, f.id, client.ContainerInspectOptions{})
	switch {
	case errdefs.IsNotFound(err):
		instance.Exit = "its container was removed"
	case err != nil && patient.Err() != nil && ctx.Err() == nil:
		instance.Exit = f.exit()
	case err != nil:
		return instance, err
	default:
		state := inspected.Container.State
		instance.Incarnation = incarnation(f.id, state.StartedAt)
		instance.Running = state.Status == container.StateRunning
		if health := state.Health; health != nil && health.Status != container.NoHealthcheck && health.Status != container.Healthy {
			instance.Unready = complaint(health).Error()
		}
		if !instance.Running {
			instance.Exit = exitOf(inspected.Container)
		} else if inspected.Container.RestartCount > 0 {
			instance.Exit = p.formerExit(ctx, inspected.Container)
		}
	}
	return instance, nil
}

// formerExit is how the run of a container ended before the one that goes on. The
// engine tells of it only as an event, and not for ever.
func (p *Platform) formerExit(ctx context.Context, c container.InspectResponse) string {
	var exit string
	told := p.engine.Events(ctx, client.EventsListOptions{
		Since: c.Created, Until: c.State.StartedAt,
		Filters: client.Filters{}.Add("container", c.ID).Add("event", string(events.ActionDie)),
	})
	for {
		select {
		case event := <-told.Messages:
			exit = exitStatusOf(event.Actor.Attributes["exitCode"])
		case err := <-told.Err:
			if exit == "" || !errors.Is(err, io.EOF) {
				return fmt.Sprintf("the engine has had to start it %d times", c.RestartCount+1)
			}
			return exit
		}
	}
}

// exitStatus is what the engine's list has of a container's end: "Exited (3) 2
// seconds ago".
var exitStatus = regexp.MustCompile(`\((\d+)\)`)

// exit is how the container ended, as far as the list says.
func (f found) exit() string {
	if code := exitStatus.FindStringSubmatch(f.status); code != nil {
		return exitStatusOf(code[1])
	}
	return strings.ToLower(f.status)
}

// exitStatusOf is how a process ended. The engine may be late to tell that one
// was killed because it wanted more memory than there was.
func exitStatusOf(code string) string {
	if code == "137" {
		return "exit status 137 (killed, as when memory runs out)"
	}
	return "exit status " + code
}

// exitOf says how the last run of a container ended.
func exitOf(c container.InspectResponse) string {
	exit := exitStatusOf(strconv.Itoa(c.State.ExitCode))
	switch {
	case c.State.OOMKilled && c.HostConfig.Memory > 0:
		exit = fmt.Sprintf("exit status %d, out of memory: it may use %d MiB", c.State.ExitCode, c.HostConfig.Memory>>20)
	case c.State.OOMKilled:
		exit = fmt.Sprintf("exit status %d, the host is out of memory", c.State.ExitCode)
	case c.State.Error != "":
		exit = c.State.Error
	case c.State.Paused:
		exit = "it is paused"
	case c.State.Status == container.StateCreated:
		exit = "it was never started"
	}
	return exit
}

// count counts the containers that run in each environment, as Status.Running and
// Status.Unready.
func (p *Platform) count(ctx context.Context, status *bluegreen.Status) error {
	list, err := p.engine.ContainerList(ctx, client.ContainerListOptions{
		Filters: p.ofDeployment().Add("status", string(container.StateRunning)),
	})
	status.Running, status.Unready = map[bluegreen.Environment]int{}, map[bluegreen.Environment]int{}
	for _, item := range list.Items {
		env := bluegreen.Environment(item.Labels[labelEnvironment])
		ref := bluegreen.InstanceRef{ID: item.Labels[labelReplica], Incarnation: incarnation(item.ID, "")}
		if !status.Ledger.Slot(env).IsCounted(ref, p.CanReceiveTraffic) {
			continue
		}
		status.Running[env]++
		if unhealthy.MatchString(item.Status) {
			status.Unready[env]++
		}
	}
	return err
}

// unhealthy is what the engine's list has of a container whose HEALTHCHECK does not
// pass, or has not run yet: "Up 2 seconds (health: starting)".
var unhealthy = regexp.MustCompile(`\((unhealthy|health: starting)\)$`)

// Dial implements bluegreen.Workloads. The agent connects: it is the one that
// must reach the instance, and the one that is on its network.
func (p *Platform) Dial(ctx context.Context, instance bluegreen.Instance) (conn net.Conn, err error) {
	defer p.engine.explain(&err)
	env, err := environmentOf(instance)
	if err != nil {
		return nil, err
	}
	return p.client.DialReplica(ctx, p.name, env, instance.Ref())
}

// Exec implements bluegreen.Workloads: the command runs in the container. When
// ctx ends nobody waits for it any more, but the engine has no way to stop it.
func (p *Platform) Exec(ctx context.Context, instance bluegreen.Instance, command []string) (err error) {
	defer p.engine.explain(&err)
	exec, attached, err := p.engine.attach(ctx, containerOf(instance.Ref()), client.ExecCreateOptions{Cmd: command, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return err
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	var output tail
	if _, err := stdcopy.StdCopy(&output, &output, attached.Reader); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	ended, err := p.engine.ExecInspect(ctx, exec, client.ExecInspectOptions{})
	if err != nil || ended.ExitCode == 0 {
		return err
	}
	if line := output.lastLine(); line != "" {
		return fmt.Errorf("exit status %d: %s", ended.ExitCode, line)
	}
	return fmt.Errorf("exit status %d", ended.ExitCode)
}

// tail keeps the end of what is written to it.
type tail []byte

const tailSize = 4096

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	*t = (*t)[max(len(*t)-tailSize, 0):]
	return len(p), nil
}

func (t tail) lastLine() string {
	lines := bytes.Split(bytes.TrimSpace(t), []byte("\n"))
	return string(lines[len(lines)-1])
}

// Logs implements bluegreen.Workloads.
func (p *Platform) Logs(ctx context.Context, instance bluegreen.Instance, n int) (lines []string, err error) {
	defer p.engine.explain(&err)
	return p.engine.logs(ctx, containerOf(instance.Ref()), n)
}

// environmentOf is the environment that an instance's ID, "green-1", begins with.
func environmentOf(instance bluegreen.Instance) (bluegreen.Environment, error) {
	name, _, _ := strings.Cut(instance.ID, "-")
	env, err := bluegreen.ParseEnvironment(name)
	if err != nil {
		return "", fmt.Errorf("instance %q: %w", instance.ID, err)
	}
	return env, nil
}
