// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"net"
	"time"
)

// Platform keeps the ledger of one deployment and runs its instances.
//
// Everything outside the engine is behind this interface, apart from the Checker.
// Package platformtest tests every implementation against this contract:
//
//   - A Platform value belongs to one deployment and one operation at a time.
//   - Everything that changes something (Commit, Erase, Prepare, Provision, Scale,
//     Remove) is called with the lock held, and fails once it is lost.
//   - Every method may be repeated: a second call with the same arguments finds
//     the work done and succeeds. Commit is the exception; it returns ErrStale.
//   - What a method has done is durable when it returns nil. When it returns an
//     error it may have done all, part or none of it.
//   - A method returns soon after its context ends.
//   - The methods that change nothing may be called while another one runs.
type Platform interface {
	Store
	Workloads
	Traffic

	// Observe returns the ledger and what runs at one moment, or ErrNotFound as Load
	// does. It needs no lock and starts nothing.
	Observe(ctx context.Context) (Status, error)
}

// Store keeps the ledger and the archive of closed records.
type Store interface {
	// Load returns the ledger, or ErrNotFound if there is no deployment of
	// that name. It needs no lock. A ledger that cannot be read or understood is
	// an error, never ErrNotFound. If an autoscaler can change the size of a release
	// that is Autoscaled, the ledger has the size of now; see Ledger.WithSize.
	//
	// Once a release was provisioned, the ledger has its Key. The platform keeps it apart
	// from the ledger, where only those read it who can read environment variables too.
	Load(ctx context.Context) (Ledger, error)

	// Commit replaces the ledger with next and appends closed to the archive, in
	// one durable and atomic step, and points traffic at next.Live.
	// next.Generation must be one above the stored ledger's (1 for the first),
	// otherwise Commit returns ErrStale and nothing has changed.
	//
	// Traffic goes to the instances in next.Slot(next.Live).Passed. If the state of
	// that slot is not Live, nothing serves.
	Commit(ctx context.Context, next Ledger, closed []Record) error

	// History returns the archived records, oldest first. The store keeps at
	// least the newest Ledger.HistoryLimit of them. It needs no lock.
	History(ctx context.Context) ([]Record, error)

	// Erase removes the ledger, the archive and the endpoints of the deployment. Its
	// environments have been removed before.
	Erase(ctx context.Context) error

	// Lock makes holder the only one to change this deployment until unlock is
	// called or its process dies, whichever is first. While another holds the
	// lock it returns a *LockedError at once.
	Lock(ctx context.Context, holder string) (unlock func(), err error)
}

// Workloads runs the instances of both environments.
type Workloads interface {
	// Prepare fetches the image of release, so that a mistyped one costs nothing that
	// runs. It returns the digest that the image is pinned to, or "" if only Provision
	// finds it out. It changes no environment and leaves at most a cached copy.
	//
	// If release.ImageDigest is set, Prepare and Provision use exactly that image,
	// even if release.Image points elsewhere now, or return an error that names it.
	Prepare(ctx context.Context, release Release) (imageDigest string, err error)

	// Provision makes env run exactly this release at this size, whatever was
	// there, and returns the digest that the release's image is pinned to.
	// Instances that already run exactly this release stay untouched. It returns
	// when the instances have been started; the health check finds out whether
	// they work. The release's environment variables are durable with the workload.
	Provision(ctx context.Context, env Environment, release Release) (imageDigest string, err error)

	// Scale makes env run what was provisioned last at this size and starts what
	// is missing. Instances that are removed leave the traffic first and finish
	// their requests in flight. If what was provisioned there was removed by
	// hand, Scale returns ErrNotProvisioned.
	Scale(ctx context.Context, env Environment, replicas int) error

	// Instances lists the instances of env by ID: those that run, and those that
	// should run and have exited. It needs no lock and starts nothing.
	Instances(ctx context.Context, env Environment) ([]Instance, error)

	// Dial connects to the port that the instance serves. The caller need not be on
	// the instance's network.
	Dial(ctx context.Context, instance Instance) (net.Conn, error)

	// Exec runs a command next to the instance, with the instance's environment
	// variables. It returns nil if the command exits with 0; otherwise the error
	// says how it ended and its last line of output.
	Exec(ctx context.Context, instance Instance, command []string) error

	// Logs returns at most the last n lines the instance wrote, oldest first.
	Logs(ctx context.Context, instance Instance, n int) ([]string, error)

	// Remove stops and removes everything in env. It does not wait for requests in
	// flight; Drain does.
	Remove(ctx context.Context, env Environment) error
}

// PortDialer is a Platform that can connect to any port of an instance. A health
// check with a port of its own needs it.
type PortDialer interface {
	DialPort(ctx context.Context, instance Instance, port int) (net.Conn, error)
}

// Restarter is a Platform that can start an instance again. A repair of live needs it
// for instances that run and are not ready.
type Restarter interface {
	// Restart ends this run of instance and starts it again. The instance leaves the
	// traffic first and finishes its requests in flight. It returns nil at once if
	// another run of the instance has begun. It is called with the lock held.
	Restart(ctx context.Context, env Environment, instance Instance) error
}

// KeyKeeper is a Platform that may not keep the key of a ledger's fingerprints, because a
// program of an earlier version runs there.
type KeyKeeper interface {
	// KeepsKey reports whether a key that is committed comes back with Load.
	KeepsKey(ctx context.Context) (bool, error)
}

// Traffic carries clients' requests to the live environment.
type Traffic interface {
	// AwaitTraffic returns when new requests reach env and nothing else.
	AwaitTraffic(ctx context.Context, env Environment) error

	// CanReceiveTraffic reports whether traffic may go to instance if those in passed
	// passed the health check: it is one of them, or one of them that has restarted
	// by itself. On a platform that sends traffic to all that is ready in an
	// environment it is always true. It does no I/O.
	CanReceiveTraffic(passed []InstanceRef, instance InstanceRef) bool

	// Drain returns when env has no requests or connections of clients any more. It
	// closes those that are left when the platform's drain timeout is over, which
	// counts from the switch. It returns at once for an environment that traffic never
	// reached, and for the live one, which is not to be drained.
	Drain(ctx context.Context, env Environment) error
}

// Instance is one replica in an environment.
type Instance struct {
	// ID is the replica's name, such as "green-2". It is the same after a restart.
	ID string `json:"id"`
	// Incarnation is different for each run of the replica.
	Incarnation string `json:"incarnation"`
	// Running is false for a replica that has exited, or that was never there. It is
	// true for one that is starting.
	Running bool `json:"running"`
	// Pending is set for a replica that does not run yet and is about to be started, such
	// as after a restart of the machine.
	Pending bool `json:"pending,omitempty"`
	// Exit says how the last run ended, such as "exit status 1", or "" if the platform
	// does not know.
	Exit string `json:"exit,omitempty"`
	// Unready says why the platform holds a running replica not ready. It is "" for a
	// ready one, and on a platform that does not judge instances itself.
	Unready string `json:"unready,omitempty"`
}

// Ref identifies this run of the instance.
func (i Instance) Ref() InstanceRef { return InstanceRef{ID: i.ID, Incarnation: i.Incarnation} }

// InstanceRef identifies one run of an instance in the ledger.
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
