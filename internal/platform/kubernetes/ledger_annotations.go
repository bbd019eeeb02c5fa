// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// The annotations of the live Service. They hold everything that is stored about a
// deployment.
const (
	annotationLedger  = cluster.FieldManager + "/ledger"
	annotationHistory = cluster.FieldManager + "/history"
	annotationLeft    = cluster.FieldManager + "/left-by-traffic"
	annotationAdopted = cluster.FieldManager + "/adopted"
)

// document is what the annotations contain.
type document struct {
	ledger  bluegreen.Ledger
	history []bluegreen.Record
	// trafficLeft says when the traffic left an environment that still runs what had it.
	// The times are those of the cluster's clock.
	trafficLeft map[bluegreen.Environment]time.Time
	// adopted is the workload that was adopted, or nil if there is none any more.
	adopted *adoption
}

// readDocument returns the document in the annotations of a Service. If this provider
// does not manage the Service, the error is a *notManagedError.
func readDocument(svc *corev1.Service) (document, error) {
	object := objectName("Service", svc.Namespace, svc.Name)
	if svc.Annotations[annotationLedger] == "" {
		if svc.Labels[labelDeployment] != svc.Name {
			return document{}, &notManagedError{Object: object, Adoptable: true}
		}
		return document{}, &UnreadableError{object, fmt.Errorf("its annotation %s is missing", annotationLedger)}
	}
	d, err := parseDocument(svc.Name, svc.Annotations)
	if err != nil {
		return document{}, &UnreadableError{object, err}
	}
	return d, nil
}

// parseDocument returns the document in annotations, which belong to the deployment called name.
func parseDocument(name string, annotations map[string]string) (document, error) {
	var d document
	for annotation, into := range map[string]any{
		annotationLedger: &d.ledger, annotationHistory: &d.history,
		annotationLeft: &d.trafficLeft, annotationAdopted: &d.adopted,
	} {
		if text := annotations[annotation]; text != "" {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return d, fmt.Errorf("annotation %s: %w", annotation, err)
			}
		}
	}
	if err := d.ledger.Validate(); err != nil {
		return d, fmt.Errorf("annotation %s: %w", annotationLedger, err)
	}
	if d.ledger.Name != name {
		return d, fmt.Errorf("annotation %s belongs to %q", annotationLedger, d.ledger.Name)
	}
	return d, nil
}

// withLedger returns the document after a commit of the ledger next. closed are the
// records that the commit archives.
func (d document) withLedger(next bluegreen.Ledger, closed []bluegreen.Record, now time.Time) document {
	next.Records = limitTexts(next.Records)
	d.history = append(d.history[:len(d.history):len(d.history)], limitTexts(closed)...)
	if surplus := len(d.history) - max(next.HistoryLimit, 0); surplus > 0 {
		d.history = d.history[surplus:]
	}
	left := maps.Clone(d.trafficLeft)
	if left == nil {
		left = map[bluegreen.Environment]time.Time{}
	}
	for _, env := range bluegreen.Environments() {
		hadTraffic := d.ledger.IsServing() && d.ledger.Live == env
		hasTraffic := next.IsServing() && next.Live == env
		switch {
		case hadTraffic && !hasTraffic:
			left[env] = now
		case hasTraffic, next.Slot(env).State == bluegreen.Ready:
			// A release that is ready has replaced the one that had the traffic.
			delete(left, env)
		}
	}
	if d.adopted != nil && d.adopted.isReplaced(next.Blue) {
		d.adopted = nil
	}
	d.ledger, d.trafficLeft = next, left
	return d
}

// annotations returns the document as annotations of the Service.
func (d document) annotations() (map[string]string, error) {
	values := map[string]any{annotationLedger: d.ledger}
	if len(d.history) > 0 {
		values[annotationHistory] = d.history
	}
	if len(d.trafficLeft) > 0 {
		values[annotationLeft] = d.trafficLeft
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
