// SPDX-License-Identifier: MPL-2.0

// Package kubernetes runs deployments on a cluster, with nothing installed there:
// a Deployment for each environment, a Service for live and one for staging, and
// a Lease as the lock.
//
// The ledger is an annotation on the live Service, and the Service's selector is
// derived from it: one write moves traffic and history together. Everything that
// takes time is waited for by watches, which last as long as the lock is held.
package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Options says which deployment, and how it is to run there.
type Options struct {
	// Namespace and Name are those of the Service that clients use.
	Namespace, Name string
	PodSettings
	Service ServiceOptions
	// DrainTimeout is how long what is in flight in the old environment may take.
	// It is the pods' grace period as well.
	DrainTimeout time.Duration
	// RecycleStandby replaces the standby's pods, one by one, once the watch over
	// the new environment has ended: a client that keeps its connection alive
	// would stay on the old ones for as long as they live.
	RecycleStandby bool
	// Adopt takes over the Service of this name, which somebody else made, and
	// the Deployment that it selects.
	Adopt bool
	// avoid are labels that no pod of ours may have: those of an adopted workload.
	avoid map[string]string
	// SchedulingGrace is how long a pod may find no node before that is a failure;
	// 0 is DefaultSchedulingGrace.
	SchedulingGrace time.Duration
}

// PodSettings hold what a release consists of here beside what it consists of on
// every platform. A release has them as its Settings, so that changing them makes
// another release.
type PodSettings struct {
	// Port is where the pods listen. They are told in PORT. 0 is not known, which
	// is enough for a deployment that is there and gets no pods.
	Port int
	// PodTemplate is JSON that is merged over the generated pod template; "" is nothing.
	PodTemplate string
}

var _ bluegreen.Settings = PodSettings{}

// Identity implements bluegreen.Settings. It has the pod template as a value:
// another way to write the same JSON makes no other release.
func (s PodSettings) Identity() string {
	identity := struct {
		Port        int `json:"port"`
		PodTemplate any `json:"pod_template,omitempty"`
	}{Port: s.Port}
	if s.PodTemplate != "" && json.Unmarshal([]byte(s.PodTemplate), &identity.PodTemplate) != nil {
		// The plan refuses what is no JSON. Here it only has to differ.
		identity.PodTemplate = s.PodTemplate
	}
	// Numbers and what JSON was decoded into always encode; map keys are sorted.
	encoded, _ := json.Marshal(identity)
	return string(encoded)
}

// DefaultSchedulingGrace is enough for a node to become free, and not for one to
// be bought.
const DefaultSchedulingGrace = 30 * time.Second

// Validate returns a *TemplateError, an *OptionError, or another error, unless
// the options can be applied to a release with this image.
func (o Options) Validate(image string) error {
	if o.Port == 0 {
		return noPort("port", o.Port)
	}
	return o.validate(image)
}

// validate is Validate for a deployment whose port may not be known.
func (o Options) validate(image string) error {
	if err := ValidateName(o.Name); err != nil {
		return err
	}
	if err := ValidateNamespace(o.Namespace); err != nil {
		return &OptionError{"namespace", err}
	}
	if o.Port < 0 || o.Port > 65535 {
		return noPort("port", o.Port)
	}
	if err := o.Service.validate(); err != nil {
		return err
	}
	for _, env := range bluegreen.Environments() {
		if _, err := o.podTemplate(env, bluegreen.Release{Image: image}); err != nil {
			return err
		}
	}
	return nil
}

// Platform is one deployment on one cluster.
type Platform struct {
	opts   Options
	client *Client

	mu sync.Mutex
	// session is the one of the lock that is held, nil without.
	session *session
	// known is the Service as it was read or written last.
	known known
	// places numbers the pods.
	places places
	// preview is what is known of it, nil before it was looked at.
	preview *preview
}

var (
	_ bluegreen.Platform   = (*Platform)(nil)
	_ bluegreen.Readiness  = (*Platform)(nil)
	_ bluegreen.PortDialer = (*Platform)(nil)
)

// New returns the platform of one deployment. It touches nothing.
func New(client *Client, opts Options) (*Platform, error) {
	if err := opts.validate("image"); err != nil {
		return nil, err
	}
	if opts.SchedulingGrace == 0 {
		opts.SchedulingGrace = DefaultSchedulingGrace
	}
	return &Platform{opts: opts, client: client, places: newPlaces()}, nil
}

// Close ends what the platform does in the background, as the end of the process
// would: a lock that is still held runs out by itself.
func (p *Platform) Close() {
	if s := p.leave(); s != nil {
		_ = s.lease.lose("the platform was closed")
		s.end()
	}
}

// Lock implements bluegreen.Store.
func (p *Platform) Lock(ctx context.Context, holder string) (unlock func(), err error) {
	api, err := p.client.open()
	if err != nil {
		return nil, err
	}
	held, err := takeLease(ctx, api, p.opts.Namespace, p.opts.Name, holder)
	if err != nil {
		return nil, err
	}
	s := p.newSession(ctx, api)
	s.lease, held.told = held, s.bell.end
	s.running.Go(func() { held.keep(s.ctx) })
	p.mu.Lock()
	p.session, p.preview = s, nil
	p.mu.Unlock()
	return func() { p.unlock(s) }, nil
}

// unlockTime bounds what remains to be said to the cluster at the end.
const unlockTime = 5 * time.Second

func (p *Platform) unlock(s *session) {
	p.mu.Lock()
	if p.session == s {
		p.session = nil
	}
	p.mu.Unlock()
	s.end()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), unlockTime)
	defer cancel()
	// A Lease that cannot be removed runs out by itself.
	_ = s.lease.release(ctx)
}

// leave takes the session away from the platform.
func (p *Platform) leave() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.session
	p.session = nil
	return s
}

// changing returns the session of a lock that is held, for a method that changes something.
func (p *Platform) changing(ctx context.Context) (*session, error) {
	s := p.current()
	if s == nil {
		return nil, fmt.Errorf("%s: %w", p.opts.Name, ErrLockLost)
	}
	return s, s.lease.held(ctx)
}

// current is the session of the lock, nil without.
func (p *Platform) current() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session
}

// looking returns a session for a method that changes nothing: that of the lock
// if there is one, else one that done ends.
func (p *Platform) looking(ctx context.Context) (s *session, done func(), err error) {
	if s := p.current(); s != nil {
		return s, func() {}, nil
	}
	api, err := p.client.open()
	if err != nil {
		return nil, nil, err
	}
	s = p.newSession(ctx, api)
	return s, s.end, nil
}
