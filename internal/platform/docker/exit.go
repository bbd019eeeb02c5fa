// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// formerExit returns how the run of a container ended before the current run. The
// engine reports it only as an event, and forgets events after some time.
func (p *Platform) formerExit(ctx context.Context, c container.InspectResponse) string {
	var exit string
	stream := p.engine.Events(ctx, client.EventsListOptions{
		Since: c.Created, Until: c.State.StartedAt,
		Filters: client.Filters{}.Add("container", c.ID).Add("event", string(events.ActionDie)),
	})
	for {
		select {
		case event := <-stream.Messages:
			exit = exitStatus(event.Actor.Attributes["exitCode"])
		case err := <-stream.Err:
			if exit == "" || !errors.Is(err, io.EOF) {
				return fmt.Sprintf("the engine started it %d times", c.RestartCount+1)
			}
			return exit
		}
	}
}

// exitCode matches the exit code in a container's status, such as "Exited (3) 2
// seconds ago".
var exitCode = regexp.MustCompile(`\((\d+)\)`)

// exit returns how the container ended, according to its status.
func (c replicaContainer) exit() string {
	if code := exitCode.FindStringSubmatch(c.status); code != nil {
		return exitStatus(code[1])
	}
	return strings.ToLower(c.status)
}

// exitStatus describes the exit code of a process. Code 137 gets a hint, because the
// engine may report late that it killed a process that ran out of memory.
func exitStatus(code string) string {
	if code == "137" {
		return "exit status 137 (killed, as when memory runs out)"
	}
	return "exit status " + code
}

// exitOf returns how the last run of a container ended.
func exitOf(c container.InspectResponse) string {
	exit := exitStatus(strconv.Itoa(c.State.ExitCode))
	switch {
	case c.State.OOMKilled && c.HostConfig.Memory > 0:
		limit := c.HostConfig.Memory >> 20
		exit = fmt.Sprintf("exit status %d, out of memory: it may use %d MiB", c.State.ExitCode, limit)
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
