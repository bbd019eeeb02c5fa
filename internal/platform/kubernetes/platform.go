// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"sync"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Platform is one deployment on one cluster.
type Platform struct {
	opts   Options
	client *Client

	mu sync.Mutex
	// run is the session that holds the lock, or nil if the lock is not held.
	run *lockedRun
	// snapshot is the live Service as this platform last read or wrote it.
	snapshot serviceSnapshot
	// key is the key of the fingerprints, "" while it is not known.
	key bluegreen.FingerprintKey
	// numbers are the replica numbers of the pods.
	numbers replicaNumbers
}

var (
	_ bluegreen.Platform   = (*Platform)(nil)
	_ bluegreen.Readiness  = (*Platform)(nil)
	_ bluegreen.PortDialer = (*Platform)(nil)
)

// New returns the platform of one deployment. It changes nothing and connects to
// nothing.
func New(client *Client, opts Options) (*Platform, error) {
	if err := opts.validate("image"); err != nil {
		return nil, err
	}
	if opts.SchedulingGrace == 0 {
		opts.SchedulingGrace = defaultSchedulingGrace
	}
	return &Platform{opts: opts, client: client, key: opts.Key, numbers: newReplicaNumbers()}, nil
}

// Close ends what the platform does in the background. It does not release a lock that is
// still held. Such a lock runs out by itself, as it would at the end of the process.
func (p *Platform) Close() {
	if run := p.dropRun(); run != nil {
		run.Close()
	}
}
