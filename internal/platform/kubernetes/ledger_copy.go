// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// The Lease keeps a copy of what the annotations of the live Service store, because other tools
// rewrite annotations of Services. A commit writes the copy first and the Service second, so
// that the copy is never behind. It is one commit ahead if a run was killed in between. Only a
// Service without a readable ledger is read from the copy. If its copy is ahead, that is as after
// a run that was killed just after the commit; a switch of it that the Service has not made is
// drift of the selector.

// isStored reports whether an annotation of the live Service belongs into the copy.
func isStored(annotation string) bool {
	return strings.HasPrefix(annotation, cluster.FieldManager+"/") && annotation != cluster.TokenAnnotation
}

// copyOf returns the annotations that make the Lease a copy of the Service. What the Lease has and
// the Service has not is "".
func copyOf(service, lease map[string]string) map[string]string {
	copied := map[string]string{}
	for annotation := range lease {
		if isStored(annotation) {
			copied[annotation] = ""
		}
	}
	for annotation, value := range service {
		if isStored(annotation) {
			copied[annotation] = value
		}
	}
	return copied
}

// writeCopy writes the copy of the annotations that the live Service is about to get.
func (p *Platform) writeCopy(ctx context.Context, run *lockedRun, service map[string]string) error {
	if err := run.AnnotateLease(ctx, copyOf(service, run.LeaseAnnotations())); err != nil {
		return fmt.Errorf("writing the copy of the ledger to %s: %w", p.leaseObject(), err)
	}
	return nil
}

// keptCopy returns the annotations of a Lease that is given up, or nil if it need not be kept. An
// earlier version writes no copy. Its ledger is copied then.
func (p *Platform) keptCopy(lease map[string]string) map[string]string {
	snapshot := p.lastSnapshot()
	isMissing := snapshot.isLoaded && snapshot.service == nil
	switch {
	case isMissing:
		return nil
	case snapshot.isLoaded && snapshot.lost == nil && snapshot.ledger.Generation > storedLedger(lease).Generation:
		return copyOf(snapshot.service.Annotations, lease)
	case lease[annotationLedger] == "":
		return nil
	default:
		return map[string]string{}
	}
}

// storedLedger returns the schema and the generation of a ledger in annotations, also of one that
// this version cannot read. They are 0 if there is none.
func storedLedger(annotations map[string]string) (ledger struct {
	Schema     int
	Generation uint64
}) {
	// What cannot be read is damaged.
	_ = json.Unmarshal([]byte(annotations[annotationLedger]), &ledger)
	return ledger
}

// lostLedgerError is a ledger that was lost with its copy.
type lostLedgerError struct {
	// Service says what is wrong with the ledger, and Copy with its copy.
	Service, Copy error
}

func (e *lostLedgerError) Error() string {
	return fmt.Sprintf("%v, and %v. The traffic goes on as it is. Restore one of the two from a backup, or "+
		`follow "A lost ledger" in the guide to Kubernetes`, e.Service, e.Copy)
}

// Unwrap makes the causes visible to errors.Is and errors.As.
func (e *lostLedgerError) Unwrap() []error { return []error{e.Service, e.Copy} }

// restore returns the snapshot of a live Service whose annotations cannot be read because of lost,
// with those of the copy. It writes nothing; the next commit does. If there is no copy for it, the
// error is lost, with what is wrong with the copy.
func (p *Platform) restore(
	ctx context.Context, api *cluster.API, service *corev1.Service, lost error,
) (serviceSnapshot, error) {
	if storedLedger(service.Annotations).Schema > bluegreen.SchemaVersion {
		return serviceSnapshot{}, lost
	}
	copied, doc, err := p.readCopy(ctx, api, service)
	unreadable, isUnreadable := errors.AsType[*UnreadableError](lost)
	switch {
	case err == nil && isUnreadable:
		lost = unreadable.Err
	case err == nil:
		lost = errors.New("its labels and annotations are missing")
	case isUnreadable:
		return serviceSnapshot{}, &UnreadableError{unreadable.Object, &lostLedgerError{unreadable.Err, err}}
	case !errors.Is(err, errNoCopy):
		// It is not known whether this provider manages the Service.
		return serviceSnapshot{}, err
	default:
		return serviceSnapshot{}, lost
	}
	restored := service.DeepCopy()
	restored.Annotations = mergeMaps(service.Annotations, copied)
	return serviceSnapshot{service: restored, document: doc, isLoaded: true, lost: lost}, nil
}

// emptyDamaged makes those annotations empty that found has and that store nothing now. Another
// tool may have written them, and a server-side apply leaves its annotations alone.
func (a serviceApply) emptyDamaged(found *corev1.Service) {
	for annotation := range found.Annotations {
		if isStored(annotation) && a.Metadata.Annotations[annotation] == "" {
			a.Metadata.Annotations[annotation] = ""
		}
	}
}

// errNoCopy is what each error of a copy wraps that does not belong to a Service.
var errNoCopy = errors.New("no copy")

// readCopy returns the copy for a live Service: the annotations and the document in them.
func (p *Platform) readCopy(
	ctx context.Context, api *cluster.API, service *corev1.Service,
) (map[string]string, document, error) {
	name := leaseName(p.opts.Name)
	lease, err := api.Leases(p.opts.Namespace).Get(ctx, name, metav1.GetOptions{})
	isMissing := cluster.IsNotFound(err, "leases", name) ||
		err == nil && (lease.Labels[labelDeployment] != p.opts.Name || lease.Annotations[annotationLedger] == "")
	if isMissing {
		return nil, document{}, fmt.Errorf("there is %w of it in %s", errNoCopy, p.leaseObject())
	}
	if err != nil {
		return nil, document{}, fmt.Errorf("its copy in %s cannot be read: %w", p.leaseObject(), err)
	}
	doc, err := parseDocument(p.opts.Name, lease.Annotations)
	if err != nil {
		return nil, document{}, fmt.Errorf("its copy in %s cannot be read: %w", p.leaseObject(), err)
	}
	if !p.isOfService(doc, service) {
		return nil, document{}, fmt.Errorf("there is %w of it: that in %s is of another Service",
			errNoCopy, p.leaseObject())
	}
	// A ledger that can be read, beside another annotation that cannot, is the one to go by.
	only := map[string]string{annotationLedger: service.Annotations[annotationLedger]}
	found, err := parseDocument(p.opts.Name, only)
	if err == nil && found.ledger.Generation != doc.ledger.Generation {
		return nil, document{}, fmt.Errorf("its copy in %s is of generation %d, and the ledger itself of %d",
			p.leaseObject(), doc.ledger.Generation, found.ledger.Generation)
	}
	return copyOf(lease.Annotations, nil), doc, nil
}

// isOfService reports whether a copy is that of this Service, which may have lost its labels, and
// not of a former one of the same name: the Service has our label, or selects our pods.
func (p *Platform) isOfService(d document, service *corev1.Service) bool {
	selector := service.Spec.Selector
	return service.Labels[labelDeployment] == p.opts.Name || selector[labelDeployment] == p.opts.Name ||
		d.adopted != nil && labels.Equals(selector, d.adopted.Selector)
}

// describeLoss says what was lost of the Service and where it was read from, "" for nothing.
func (p *Platform) describeLoss(s serviceSnapshot) string {
	if s.lost == nil {
		return ""
	}
	return fmt.Sprintf("%s: %v. The ledger was read from its copy in %s", p.serviceObject(), s.lost, p.leaseObject())
}
