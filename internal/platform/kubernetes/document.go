// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The annotations of the Service, which are all that is kept of a deployment
// besides what runs.
const (
	annotationLedger  = fieldManager + "/ledger"
	annotationHistory = fieldManager + "/history"
	annotationLeft    = fieldManager + "/left-by-traffic"
	annotationAdopted = fieldManager + "/adopted"
)

// maxAnnotations is what Kubernetes allows all annotations of an object to have,
// TotalAnnotationSizeLimitB in k8s.io/apimachinery/pkg/api/validation.
const maxAnnotations = 256 << 10

// evidence is about what the ledger grows by for each replica that a health
// check finds healthy: the name of the check and twice who passed.
const evidence = 200

// document is what the Service's annotations say.
type document struct {
	ledger  bluegreen.Ledger
	history []bluegreen.Record
	// left is when traffic left an environment that still runs what had it, by
	// the cluster's clock.
	left map[bluegreen.Environment]time.Time
	// adopted is the workload that the deployment began with, nil where it began
	// with nothing.
	adopted *adoption
}

// UnreadableError is an object of ours whose content makes no sense.
type UnreadableError struct {
	// Object is "Service default/web".
	Object string
	Err    error
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("%s cannot be understood: %v", e.Object, e.Err)
}

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *UnreadableError) Unwrap() error { return e.Err }

// ForeignError is an object in the place of one of ours that somebody else made.
type ForeignError struct {
	// Object is "Service default/web".
	Object string
	// Adoptable is set where it is the Service that clients use, which can be taken over.
	Adoptable bool
}

func (e *ForeignError) Error() string {
	text := e.Object + " exists and is not managed by this provider: it is left alone; rename or remove it, or give the deployment another name"
	if e.Adoptable {
		text += ", or take it over with kubernetes.adopt"
	}
	return text
}

// LeavingError is an object that somebody has removed and that its finalizers
// hold. What it says is about to be lost.
type LeavingError struct {
	// Object is "Service default/web".
	Object     string
	Since      time.Time
	Finalizers []string
}

func (e *LeavingError) Error() string {
	return fmt.Sprintf("%s is being removed since %s and goes when its finalizers have (%s): wait for whoever works on them, or remove them where nobody does, and try again",
		e.Object, e.Since.UTC().Format(time.RFC3339), strings.Join(e.Finalizers, ", "))
}

// leaving is what is wrong with an object that has a DeletionTimestamp.
func leaving(kind string, o metav1.Object) *LeavingError {
	return &LeavingError{objectName(kind, o.GetNamespace(), o.GetName()), o.GetDeletionTimestamp().Time, o.GetFinalizers()}
}

func objectName(kind, namespace, name string) string { return kind + " " + namespace + "/" + name }

// readDocument returns what a Service of ours holds.
func readDocument(svc *corev1.Service) (document, error) {
	object := objectName("Service", svc.Namespace, svc.Name)
	var d document
	if svc.Annotations[annotationLedger] == "" {
		if svc.Labels[labelDeployment] != svc.Name {
			return d, &ForeignError{Object: object, Adoptable: true}
		}
		return d, &UnreadableError{object, fmt.Errorf("its annotation %s is gone", annotationLedger)}
	}
	for annotation, into := range map[string]any{
		annotationLedger: &d.ledger, annotationHistory: &d.history, annotationLeft: &d.left, annotationAdopted: &d.adopted,
	} {
		if text := svc.Annotations[annotation]; text != "" {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return d, &UnreadableError{object, fmt.Errorf("annotation %s: %w", annotation, err)}
			}
		}
	}
	if err := d.ledger.Validate(); err != nil {
		return d, &UnreadableError{object, fmt.Errorf("annotation %s: %w", annotationLedger, err)}
	}
	if d.ledger.Name != svc.Name {
		return d, &UnreadableError{object, fmt.Errorf("annotation %s is that of %q", annotationLedger, d.ledger.Name)}
	}
	return d, nil
}

// followedBy is the document with the next ledger in it.
func (d document) followedBy(next bluegreen.Ledger, closed []bluegreen.Record, now time.Time) document {
	d.history = append(d.history[:len(d.history):len(d.history)], closed...)
	if surplus := len(d.history) - max(next.HistoryLimit, 0); surplus > 0 {
		d.history = d.history[surplus:]
	}
	left := maps.Clone(d.left)
	if left == nil {
		left = map[bluegreen.Environment]time.Time{}
	}
	for _, env := range bluegreen.Environments() {
		had, has := d.ledger.IsServing() && d.ledger.Live == env, next.IsServing() && next.Live == env
		switch {
		case had && !has:
			left[env] = now
		case has, next.Slot(env).State == bluegreen.Ready:
			// What is ready has replaced what had the traffic, and never had any.
			delete(left, env)
		}
	}
	if d.adopted != nil && d.adopted.replaced(next.Blue) {
		d.adopted = nil
	}
	d.ledger, d.left = next, left
	return d
}

// annotations returns the document as the Service holds it.
func (d document) annotations() (map[string]string, error) {
	values := map[string]any{annotationLedger: d.ledger}
	if len(d.history) > 0 {
		values[annotationHistory] = d.history
	}
	if len(d.left) > 0 {
		values[annotationLeft] = d.left
	}
	if d.adopted != nil {
		values[annotationAdopted] = d.adopted
	}
	annotations := make(map[string]string, len(values))
	for annotation, value := range values {
		encoded, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", annotation, err)
		}
		annotations[annotation] = string(encoded)
	}
	return annotations, nil
}

// SizeError is a ledger that does not fit into the annotations of a Service.
type SizeError struct{ Bytes int }

func (e *SizeError) Error() string {
	return fmt.Sprintf("the ledger and its history need %d bytes, and the annotations of a Service hold %d: lower history_limit or the number of replicas", e.Bytes, maxAnnotations)
}

// checkSize returns a *SizeError unless annotations, with the evidence that is
// going to be added to them, fit beside those that others gave the Service. A
// release whose evidence would not fit is refused before it is deployed.
func checkSize(annotations, others map[string]string, next bluegreen.Ledger) error {
	size := 0
	for key, value := range merged(others, annotations) {
		size += len(key) + len(value)
	}
	if staging := next.Slot(next.Staging()); staging.State == bluegreen.Deploying {
		size += staging.Release.Replicas * evidence
	}
	if size > maxAnnotations {
		return &SizeError{size}
	}
	return nil
}
