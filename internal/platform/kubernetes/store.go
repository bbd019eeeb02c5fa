// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// known is what the Service was when it was last read or written.
type known struct {
	// service is nil where there is none of ours.
	service *corev1.Service
	document
	// loaded is false until the cluster was asked.
	loaded bool
}

// read asks the cluster for the Service. One that is not there is no error; one
// that somebody else made is, unless it is to be adopted. So is one that is being
// removed, with all that it says, unless it says so itself.
func (p *Platform) read(ctx context.Context) (known, error) {
	api, err := p.client.open()
	if err != nil {
		return known{}, err
	}
	service, err := api.services(p.opts.Namespace).Get(ctx, p.opts.Name, metav1.GetOptions{})
	if absent(err, "services", p.opts.Name) {
		return p.learn(known{loaded: true}), nil
	}
	if apierrors.IsNotFound(err) {
		return known{}, fmt.Errorf("reading %s: somebody answers that there is no such page, and that is not how an API server says that there is no such Service: look where the address of the cluster leads, and whether a proxy in between has lost it: %w", p.serviceObject(), err)
	}
	if err != nil {
		return known{}, fmt.Errorf("reading %s: %w", p.serviceObject(), err)
	}
	doc, err := readDocument(service)
	var foreign *ForeignError
	adopting := errors.As(err, &foreign) && p.opts.Adopt
	switch {
	case err != nil && !adopting:
		return known{}, err
	case service.DeletionTimestamp != nil && !doc.ledger.Destroying:
		return known{}, leaving("Service", service)
	case adopting:
		return p.adopt(ctx, api, service)
	default:
		return p.learn(known{service, doc, true}), nil
	}
}

func (p *Platform) learn(k known) known {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = k
	return k
}

// recall returns what is known of the Service, and asks where nothing is.
func (p *Platform) recall(ctx context.Context) (known, error) {
	if k := p.remembered(); k.loaded {
		return k, nil
	}
	return p.read(ctx)
}

// remembered is what is known of the Service without asking.
func (p *Platform) remembered() known {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known
}

// serviceObject is the live Service, as errors call it.
func (p *Platform) serviceObject() string {
	return objectName("Service", p.opts.Namespace, p.opts.Name)
}

// Load implements bluegreen.Store.
func (p *Platform) Load(ctx context.Context) (bluegreen.Ledger, error) {
	k, err := p.read(ctx)
	if err == nil && k.service == nil {
		err = bluegreen.ErrNotFound
	}
	if err != nil || !autoscaled(k.ledger) {
		return k.ledger, err
	}
	api, err := p.client.open()
	if err != nil {
		return bluegreen.Ledger{}, err
	}
	deployments, err := p.deployments(ctx, api)
	if err != nil {
		return bluegreen.Ledger{}, err
	}
	return p.withSizes(k.document, deployments), nil
}

// History implements bluegreen.Store.
func (p *Platform) History(ctx context.Context) ([]bluegreen.Record, error) {
	k, err := p.read(ctx)
	return k.history, err
}

// Commit implements bluegreen.Store. The ledger, the archive and the selector are
// one write, which the cluster refuses if anybody wrote the Service meanwhile:
// then it is read again, and whether next still follows is decided again.
func (p *Platform) Commit(ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record) error {
	s, err := p.changing(ctx)
	if err != nil {
		return err
	}
	before, err := p.recall(ctx)
	for fresh := false; ; fresh = true {
		if fresh {
			before, err = p.read(ctx)
		}
		if err != nil {
			return err
		}
		if next.Generation != before.ledger.Generation+1 {
			if fresh {
				return bluegreen.ErrStale
			}
			continue
		}
		err := p.advance(ctx, s, before, next, closed)
		if !apierrors.IsConflict(err) || ctx.Err() != nil {
			return err
		}
	}
}

// advance makes next follow before, with what goes before and after it.
func (p *Platform) advance(ctx context.Context, s *session, before known, next bluegreen.Ledger, closed []bluegreen.Record) error {
	if err := p.lookAtPreview(ctx, s); err != nil {
		return err
	}
	if p.preview.foreign && next.Slot(next.Staging()).State == bluegreen.Deploying {
		return &ForeignError{Object: objectName("Service", p.opts.Namespace, previewName(p.opts.Name))}
	}
	var undone error
	if stays(before.ledger, next) && atRest(next) {
		// Before the ledger says that all is done, so that it is not forgotten. No other
		// commit waits for a standby that cannot be changed.
		undone = p.recycle(ctx, s, before.document)
		if undone != nil && before.ledger.WatchDue != "" {
			return undone
		}
	}
	if before.adopted != nil && before.ledger.Generation == 0 {
		if err := p.claim(ctx, s, before.adopted); err != nil {
			return err
		}
	}
	written, err := p.replace(ctx, s, before, next, closed)
	if err != nil {
		return fmt.Errorf("writing %s: %w", p.serviceObject(), err)
	}
	told := phases(before.ledger, next)
	if before.adopted != nil && before.ledger.Generation == 0 {
		told = append([]phase{adopted(before)}, told...)
	}
	if before.ledger.IsServing() && !stays(before.ledger, next) && atRest(next) {
		// What is its standby now had the traffic until this moment.
		undone = p.recycle(ctx, s, written.document)
	}
	err = errors.Join(undone, p.pointPreview(ctx, s, p.place(written.document, next.Staging())))
	if err != nil {
		told = append(told, incomplete(err))
	}
	p.tell(s, told)
	return err
}

// replace writes the Service as it is to be after before.
func (p *Platform) replace(ctx context.Context, s *session, before known, next bluegreen.Ledger, closed []bluegreen.Record) (known, error) {
	doc := before.followedBy(next, closed, s.api.clock.now())
	annotations, err := doc.annotations()
	if err != nil {
		return known{}, err
	}
	var others map[string]string
	version := ""
	if before.service != nil {
		if before.service.DeletionTimestamp != nil {
			// Whatever is written there is lost with it.
			return known{}, leaving("Service", before.service)
		}
		others, version = before.service.Annotations, before.service.ResourceVersion
	}
	if err := checkSize(annotations, others, next); err != nil {
		return known{}, err
	}
	live, selector := p.place(doc, next.Live), podLabels(p.opts.Name, nowhere)
	if next.IsServing() {
		selector = live.selector
	}
	// A Service that is not known to exist is not taken from whom made it meanwhile.
	written, err := p.applyService(ctx, s, p.liveService(live, selector, annotations, version), before.service != nil)
	if err != nil {
		return known{}, err
	}
	return p.learn(known{written, doc, true}), nil
}

func (p *Platform) applyService(ctx context.Context, s *session, want serviceApply, force bool) (*corev1.Service, error) {
	encoded, err := json.Marshal(want)
	if err != nil {
		return nil, err
	}
	api, err := s.writer(ctx)
	if err != nil {
		return nil, err
	}
	return api.services(p.opts.Namespace).Patch(ctx, want.Metadata.Name, types.ApplyPatchType, encoded,
		metav1.PatchOptions{FieldManager: fieldManager, Force: &force})
}

// preview is the Service that leads to staging.
type preview struct {
	exists bool
	// foreign is set where somebody else made it. It is left alone, and nothing can
	// be deployed; everything else goes on without it.
	foreign bool
	// leadsTo is the Deployment that it was pointed at, "" where that is not known.
	leadsTo string
}

// lookAtPreview finds out about the preview, once while the lock is held.
func (p *Platform) lookAtPreview(ctx context.Context, s *session) error {
	if p.preview != nil {
		return nil
	}
	name := previewName(p.opts.Name)
	found, err := s.api.services(p.opts.Namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case absent(err, "services", name):
		p.preview = &preview{}
	case err != nil:
		return fmt.Errorf("reading %s: %w", objectName("Service", p.opts.Namespace, name), err)
	default:
		p.preview = &preview{exists: true, foreign: found.Labels[labelDeployment] != p.opts.Name}
	}
	return nil
}

// pointPreview makes the preview lead to what is in staging.
func (p *Platform) pointPreview(ctx context.Context, s *session, staging workload) error {
	if p.preview.foreign || p.preview.leadsTo == staging.deployment {
		return nil
	}
	// As with the live one: it is not taken from whom made it meanwhile.
	if _, err := p.applyService(ctx, s, p.previewService(staging), p.preview.exists); err != nil {
		return fmt.Errorf("writing %s: %w", objectName("Service", p.opts.Namespace, previewName(p.opts.Name)), err)
	}
	p.preview = &preview{exists: true, leadsTo: staging.deployment}
	return nil
}

// Erase implements bluegreen.Store. The ledger goes last.
func (p *Platform) Erase(ctx context.Context) error {
	s, err := p.changing(ctx)
	if err != nil {
		return err
	}
	for {
		k, err := p.read(ctx)
		if err != nil || k.service == nil {
			return err
		}
		err = p.erase(ctx, s, k.service)
		// Its status may have changed since it was read.
		if !apierrors.IsConflict(err) || ctx.Err() != nil {
			return err
		}
	}
}

func (p *Platform) erase(ctx context.Context, s *session, service *corev1.Service) error {
	if err := p.lookAtPreview(ctx, s); err != nil {
		return err
	}
	if !p.preview.foreign {
		if err := p.deleteService(ctx, s, previewName(p.opts.Name), nil); err != nil {
			return err
		}
		p.preview = nil
	}
	asRead := &metav1.Preconditions{UID: &service.UID, ResourceVersion: &service.ResourceVersion}
	if err := p.deleteService(ctx, s, p.opts.Name, asRead); err != nil {
		return err
	}
	p.learn(known{loaded: true})
	return nil
}

// deleteService returns when the Service is gone: until then the next deployment
// of its name would write its ledger on what is about to go.
func (p *Platform) deleteService(ctx context.Context, s *session, name string, only *metav1.Preconditions) error {
	api, err := s.writer(ctx)
	if err != nil {
		return err
	}
	err = api.services(p.opts.Namespace).Delete(ctx, name, metav1.DeleteOptions{Preconditions: only})
	if absent(err, "services", name) {
		return nil
	}
	if err == nil {
		err = p.awaitGone(ctx, s, name)
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", objectName("Service", p.opts.Namespace, name), err)
	}
	return nil
}

// awaitGone returns when a Service that was removed is gone. A load balancer keeps
// it by a finalizer until it is gone itself, which takes minutes. It is asked for
// again and again: one may watch Services only where one may list all of them.
func (p *Platform) awaitGone(ctx context.Context, s *session, name string) error {
	pace := backoff.ExponentialBackOff{InitialInterval: 50 * time.Millisecond, Multiplier: 2, MaxInterval: time.Second}
	var held error
	for pace.Reset(); ; {
		found, err := s.api.services(p.opts.Namespace).Get(ctx, name, metav1.GetOptions{})
		if absent(err, "services", name) || err == nil && found.DeletionTimestamp == nil {
			// What is not being removed is another one of this name.
			return nil
		}
		if err == nil {
			held = leaving("Service", found)
			err = pause(ctx, pace.NextBackOff())
		}
		if err != nil && held != nil {
			return fmt.Errorf("%w while %w", err, held)
		}
		if err != nil {
			return err
		}
		if lost := s.bell.ended(); lost != nil {
			return lost
		}
	}
}
