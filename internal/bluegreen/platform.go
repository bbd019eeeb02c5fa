// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"net"
	"time"
)

// Platform keeps the ledger of one deployment and runs its instances.
//
// It is the only seam between the engine and the world. Its contract, which
// platformtest holds every implementation to:
//
//   - A Platform value belongs to one deployment and one operation at a time.
//   - Everything that changes something (Commit, Erase, Provision, Scale,
//     Remove) is called with the lock held, and fails once it is lost.
//   - Every method may be repeated: a second call with the same arguments finds
//     the work done and succeeds.
//   - What a method has done is durable when it returns nil. When it returns an
//     error it may have done all, part or none of it.
//   - A method returns soon after its context ends.
//   - The methods that change nothing may be called while another one runs.
type Platform interface {
	Store
	Workloads
	Traffic

	// Observe tells at one look what there is, or ErrNotFound as Load does. It
	// needs no lock and starts nothing.
	Observe(ctx context.Context) (Status, error)
}

// Store keeps the ledger and the archive of closed records.
type Store interface {
	// Load returns the ledger, or ErrNotFound where there is no deployment of
	// that name. It needs no lock. A ledger that cannot be read or understood is
	// an error, never ErrNotFound. Where something else than Scale may change the
	// size of a release that is Autoscaled, the ledger tells the size it has now.
	Load(ctx context.Context) (Ledger, error)

	// Commit puts next in the place of the ledger and appends closed to the
	// archive, in one durable and atomic step, and points traffic at next.Live.
	// next.Generation must be one above the stored ledger's (1 for the first),
	// otherwise Commit returns ErrStale and nothing has changed.
	//
	// Traffic goes to the instances named in next.Slot(next.Live).Passed; where
	// the slot is not Live nothing serves.
	Commit(ctx context.Context, next Ledger, closed []Record) error

	// History returns the archived records, oldest first. The store keeps at
	// least the newest Ledger.HistoryLimit of them. It needs no lock.
	History(ctx context.Context) ([]Record, error)

	// Erase forgets the deployment: ledger, archive, endpoints. Its environments
	// have been removed before.
	Erase(ctx context.Context) error

	// Lock makes holder the only one to change this deployment until unlock is
	// called or its process dies, whichever is first. While another holds the
	// lock it returns a *HolderError at once.
	Lock(ctx context.Context, holder string) (unlock func(), err error)
}

// Workloads runs the instances of both environments.
type Workloads interface {
	// Provision makes env run exactly this release at this size, whatever was
	// there, and returns what the release's image is pinned to. Instances that
	// already run exactly this release stay untouched. It returns when the
	// instances have been started; whether they work is the health check's part.
	// A released environment variable is durable with the workload.
	Provision(ctx context.Context, env Environment, release Release) (imageDigest string, err error)

	// Scale makes env run what was provisioned last at this size and starts what
	// is missing. Instances that are removed leave the traffic first and finish
	// what they have in flight. Where somebody can remove what was provisioned
	// there, and has, Scale returns ErrNotProvisioned.
	Scale(ctx context.Context, env Environment, replicas int) error

	// Instances lists what runs in env, and what should but has exited, ordered
	// by ID. An empty environment has none. It needs no lock and starts nothing.
	Instances(ctx context.Context, env Environment) ([]Instance, error)

	// Dial connects to the port that the instance serves, from wherever the caller is.
	Dial(ctx context.Context, instance Instance) (net.Conn, error)

	// Exec runs a command beside the instance with the instance's environment
	// and returns nil when it exits with 0; otherwise the error says how it
	// ended and its last line of output.
	Exec(ctx context.Context, instance Instance, command []string) error

	// Logs returns at most the last n lines the instance wrote, oldest first.
	Logs(ctx context.Context, instance Instance, n int) ([]string, error)

	// Remove stops and removes everything in env. It waits for no traffic: Drain does.
	Remove(ctx context.Context, env Environment) error
}

// PortDialer is a Platform that reaches other ports of an instance than the one
// it serves. A health check with a port of its own needs it.
type PortDialer interface {
	DialPort(ctx context.Context, instance Instance, port int) (net.Conn, error)
}

// Traffic is the data plane.
type Traffic interface {
	// AwaitTraffic returns when the data plane carries new requests to env and
	// to nothing else.
	AwaitTraffic(ctx context.Context, env Environment) error

	// CanReceiveTraffic reports whether traffic may go to instance when those in passed
	// have passed: it is one of them, or came back by itself in the place of one. Where
	// traffic goes to whatever is ready in an environment, every instance may have
	// it. It asks nobody.
	CanReceiveTraffic(passed []InstanceRef, instance InstanceRef) bool

	// Drain returns when nothing talks to env any more. What still does when the
	// platform's drain timeout, counted from the switch, is over gets closed; for
	// an environment that traffic never reached it is over. Drain returns at once
	// for the live environment, which has nothing to drain.
	Drain(ctx context.Context, env Environment) error
}

// Instance is one replica in an environment.
type Instance struct {
	// ID names the replica's place, such as "green-2". It is the same after a restart.
	ID string `json:"id"`
	// Incarnation differs between two runs of the same place.
	Incarnation string `json:"incarnation"`
	// Running is false for a replica that has exited, or was never there. One that
	// is on its way runs.
	Running bool `json:"running"`
	// Exit says how the last run ended, where the platform knows: "exit status 1".
	Exit string `json:"exit,omitempty"`
	// Unready says why the platform, where it judges instances itself, holds one
	// that runs not ready; "" where it does not.
	Unready string `json:"unready,omitempty"`
}

// Ref identifies this run of the instance.
func (i Instance) Ref() InstanceRef { return InstanceRef{ID: i.ID, Incarnation: i.Incarnation} }

// InstanceRef is an instance as the ledger remembers it.
type InstanceRef struct {
	ID          string `json:"id"`
	Incarnation string `json:"incarnation"`
}

// Holder is who holds the lock of a deployment.
type Holder struct {
	// Name is user@host and pid.
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
}
