// SPDX-License-Identifier: MPL-2.0

package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/build"
)

// replacing is held while this process replaces an agent, and before it takes a lock that would
// keep it from that.
var replacing sync.Mutex

// kept are the process IDs of agents that could not be replaced. It is tried once.
var kept = map[int]bool{}

// Replace replaces the agent if the provider has started it, and it is older than this program or
// has lost its parent, so that nobody would start it again. The new one takes over its clients and
// replicas, so that nobody notices. It does nothing if no agent runs. After an error the agent that
// ran goes on. command is that of LaunchAndLock.
func (c *Client) Replace(ctx context.Context, command []string) error {
	replacing.Lock()
	defer replacing.Unlock()
	former, err := c.version(ctx)
	if err != nil || !isReplaceable(former) || kept[former.PID] {
		// Whoever needs the agent next sees the error too.
		return nil
	}
	if err := c.replace(ctx, command, former); err != nil {
		kept[former.PID] = true
		return fmt.Errorf("%s, and could not be replaced. It goes on: %w", whyReplaced(former), err)
	}
	return nil
}

// whyReplaced says of an agent why it is to be replaced.
func whyReplaced(agent api.VersionReply) string {
	if hasLostParent(agent) {
		return fmt.Sprintf("the agent, process %d, has lost the process that starts it again when it dies", agent.PID)
	}
	return fmt.Sprintf("the agent, process %d of version %s, is older than this provider, %s",
		agent.PID, agent.Version, build.Version)
}

// isReplaceable reports whether the next apply replaces the agent.
func isReplaceable(agent api.VersionReply) bool {
	isOlder := build.AgeOf(agent.Version, agent.Build) == build.Older
	return agent.Manager == api.ManagedByProvider && isOlder || hasLostParent(agent)
}

// hasLostParent reports whether the process that starts the agent again when it dies has ended.
func hasLostParent(agent api.VersionReply) bool {
	return agent.Manager == api.ManagedByProvider && agent.Parent == 0 &&
		build.AgeOf(agent.Version, agent.Build) == build.Same
}

// replace starts an agent that takes over from former, and returns once it serves.
func (c *Client) replace(ctx context.Context, command []string, former api.VersionReply) error {
	late := fmt.Errorf("the new agent did not take over within %s", api.LaunchTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, api.LaunchTimeout, late)
	defer cancel()
	next := &launched{dir: c.dir, command: append(command[:len(command):len(command)], "-take-over")}
	if err := next.start(); err != nil {
		return err
	}
	pause := backoff.WithBackOff(backoff.NewConstantBackOff(20 * time.Millisecond))
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		select {
		case <-next.ended:
			return struct{}{}, backoff.Permanent(cmp.Or(next.err, errors.New("the new agent has ended")))
		default:
		}
		serves, err := c.version(ctx)
		if err == nil && serves.PID == former.PID {
			err = errors.New("the former agent still serves")
		}
		return struct{}{}, err
	}, pause, backoff.WithMaxElapsedTime(0))
	return err
}

// describeAge says that the agent is not of the version of this program or has lost its parent, and
// what to do, "" if neither is so. agent is nil for one that does not tell.
func (c *Client) describeAge(agent *api.VersionReply) string {
	if agent == nil || agent.Version == "" {
		// The process is not known on every system.
		which, end := "The agent", "end it"
		if pid := c.peer(); pid != 0 {
			which, end = fmt.Sprintf("The agent, process %d,", pid), fmt.Sprintf("end it with \"kill %d\"", pid)
		}
		return fmt.Sprintf("%s is of an earlier version than this provider, %s. It goes on serving. To replace it, "+
			"%s, and apply. The replicas run on, but no client can connect until the new agent serves.",
			which, build.Version, end)
	}
	is := fmt.Sprintf("The agent, process %d of version %s, is older than this provider, %s. ",
		agent.PID, agent.Version, build.Version)
	switch age := build.AgeOf(agent.Version, agent.Build); {
	case age == build.Newer:
		return fmt.Sprintf("The agent, process %d of version %s, is newer than this provider, %s. It serves all the "+
			"same. Use the newer version of the provider here too.", agent.PID, agent.Version, build.Version)
	case hasLostParent(*agent):
		return fmt.Sprintf("The agent, process %d, has lost the process that starts it again when it dies. The next "+
			"apply that changes a deployment replaces it, without an interruption.", agent.PID)
	case age == build.Same:
		return ""
	case agent.Manager == api.ManagedByProvider:
		return is + "The next apply that changes a deployment replaces it, without an interruption."
	case agent.Manager == api.ManagedByService:
		return is + "A service manager runs it: update the package, and restart the service."
	default:
		return is + "It was started by hand: start the new one with -take-over."
	}
}
