// SPDX-License-Identifier: MPL-2.0

package process

import (
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process/listener"
)

// portWatch looks who listens on the port of one run of a replica. A program binds its port some
// time after its start, and until then any program of this machine can: what listens there is
// the replica only if one of the replica's processes holds the socket.
//
// Where the system does not show what a process holds, as with one that must not be dumped, the
// socket counts as its own if the process acts as the user that has made it.
type portWatch struct {
	views *views
	id    string
	run   State
	// isKeptOpen is set if this program has the socket too. Then the socket is still there when the
	// replica has closed it, and the holder counts, not the socket.
	isKeptOpen bool

	mu sync.Mutex
	// own are the sockets of the replica, none if it does not listen.
	own listener.Table
	// refused are those of others that were found last.
	refused listener.Table
	problem string
	// since is when the replica began not to listen, and explained when it was last found out
	// where it listens instead.
	since, explained time.Time
}

// firstExplanation is how long a replica may take to listen until it is looked where it listens
// instead, which takes longer than to look at its port.
const firstExplanation = 200 * time.Millisecond

func newPortWatch(views *views, id string, run State, isKeptOpen bool) *portWatch {
	w := &portWatch{views: views, id: id, run: run, isKeptOpen: isKeptOpen}
	w.beginToWait()
	return w
}

func (w *portWatch) beginToWait() {
	w.since = time.Now()
	w.own, w.refused, w.explained = nil, nil, w.since
	w.problem = fmt.Sprintf("nothing of %s listens on %s", w.id, loopback(w.run.Port))
}

// look returns the sockets of the replica that a connection to its port reaches, or the reason
// why it reaches none. What it returns was so at begin or later.
func (w *portWatch) look(begin time.Time) (own listener.Table, problem string) {
	if !listener.IsSupported {
		return nil, ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	v, err := w.views.since(begin)
	if err != nil {
		w.beginToWait()
		w.problem = fmt.Sprintf("it is not known who listens on %s: %v", loopback(w.run.Port), err)
		return nil, w.problem
	}
	reached := v.listeners.Reached(w.run.Port)
	isRefused := slices.Equal(reached, w.refused)
	switch {
	case len(reached) > 0 && w.own.Contains(reached) && !w.isKeptOpen,
		len(reached) > 0 && (!isRefused || w.isExplanationDue()) && w.isOwn(v, reached):
		w.own, w.refused, w.problem = reached, nil, ""
		return reached, ""
	case len(w.own) > 0:
		w.beginToWait()
	}
	if !isRefused || w.isExplanationDue() {
		w.refused, w.explained, w.problem = reached, time.Now(), w.explain(v, reached)
	}
	return nil, w.problem
}

// isExplanationDue reports whether it is time to look again where the replica listens. An
// explanation grows no older than a fifth of the time that the replica has not listened.
func (w *portWatch) isExplanationDue() bool {
	return time.Since(w.explained) >= max(firstExplanation, time.Since(w.since)/5)
}

// isOwn reports whether the sockets are those of the replica. Most replicas listen in their first
// process, so that is looked at first.
func (w *portWatch) isOwn(v view, sockets listener.Table) bool {
	for _, members := range []func() []int{
		func() []int { return []int{w.run.PID} },
		func() []int { return w.run.members(v.processes()) },
		func() []int { return w.run.allMembers(v.processes()) },
	} {
		held, hidden := sockets.HeldBy(members())
		if !slices.ContainsFunc(sockets, func(s listener.Socket) bool {
			return !slices.Contains(held, s) && !isMadeBy(s, hidden)
		}) {
			return true
		}
	}
	return false
}

// isMadeBy reports whether one of the processes acts as the user that has made the socket.
func isMadeBy(s listener.Socket, pids []int) bool {
	return slices.ContainsFunc(pids, func(pid int) bool { return slices.Contains(listener.UsersOf(pid), s.UID) })
}

// mostAddresses is how many addresses an explanation names.
const mostAddresses = 3

// explain says who is reached at the port of the replica, and where the replica listens.
func (w *portWatch) explain(v view, reached listener.Table) string {
	held, _ := v.listeners.HeldBy(w.run.allMembers(v.processes()))
	text, name := fmt.Sprintf("nothing of %s listens on %s", w.id, loopback(w.run.Port)), "it"
	if i := slices.IndexFunc(reached, func(s listener.Socket) bool { return !slices.Contains(held, s) }); i >= 0 {
		text, name = fmt.Sprintf("%s listens on %s, which is not one of %s's",
			describeHolder(reached[i]), loopback(w.run.Port), w.id), w.id
	}
	elsewhere := held.Addresses()
	if len(elsewhere) > mostAddresses {
		elsewhere = append(elsewhere[:mostAddresses], "other addresses")
	}
	if len(elsewhere) > 0 {
		text += fmt.Sprintf("; %s listens on %s", name, strings.Join(elsewhere, " and "))
	}
	return text
}

// describeHolder names the process that holds the socket and its user.
func describeHolder(s listener.Socket) string {
	name := strconv.Itoa(s.UID)
	if found, err := user.LookupId(name); err == nil {
		name = found.Username
	}
	if pid := listener.Holder(s); pid != 0 {
		return fmt.Sprintf("process %d of user %s", pid, name)
	}
	return "a process of user " + name
}
