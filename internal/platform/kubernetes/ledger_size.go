// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// maxAnnotations is the size that Kubernetes allows for all annotations of an object,
// TotalAnnotationSizeLimitB in k8s.io/apimachinery/pkg/api/validation.
const maxAnnotations = 256 << 10

// The texts of a record have no natural limit: each replica of a release can fail, with
// a cause for each check. These limits are in bytes as JSON.
const (
	// maxCauses is how many causes a record keeps.
	maxCauses = 5
	// maxCause is the size of one cause.
	maxCause = 256
	// maxReason is the size of the reason of a record.
	maxReason = 1024
)

// The sizes by which the ledger grows, in bytes.
const (
	// tokenSize is the size of the annotation that the Lease has beside the copy.
	tokenSize = len(cluster.TokenAnnotation) + 32
	// passedSize is the size of a replica that passed, with its ID and its incarnation.
	passedSize = 80
	// evidenceSize is the size of a replica whose release is checked: the results of five
	// checks, and the replica in the record and in the slot.
	evidenceSize = 5*24 + 2*passedSize
	// failureSize is the size of the causes of a failed check, or of an automatic
	// rollback: a record and two reasons. It includes the names of the checks, times and
	// digests.
	failureSize = maxCauses*(maxCause+32) + 2*maxReason + 2<<10
)

// sizeError reports a ledger that does not fit into the annotations of a Service.
type sizeError struct{ Bytes int }

func (e *sizeError) Error() string {
	return fmt.Sprintf("the ledger and its history need %d bytes, and the annotations of a Service can have %d. "+
		"Nothing was changed: lower history_limit or the number of replicas", e.Bytes, maxAnnotations)
}

// checkSize returns a *sizeError unless the annotations fit into the Service, together
// with the annotations of others and with what later commits add. A release whose check
// could not be recorded is therefore refused before it is deployed.
func checkSize(annotations, others map[string]string, before, next bluegreen.Ledger) error {
	size := reservedSize(before, next) + tokenSize
	for key, value := range mergeMaps(others, annotations) {
		size += len(key) + len(value)
	}
	if size > maxAnnotations {
		return &sizeError{size}
	}
	return nil
}

// reservedSize returns how much the ledger may grow by in later commits, because of what
// next begins. A commit that begins nothing reserves nothing: it must not be refused.
func reservedSize(before, next bluegreen.Ledger) int {
	size := 0
	for _, env := range bluegreen.Environments() {
		was, is := before.Slot(env), next.Slot(env)
		switch {
		case is.Release == nil:
		case is.State == bluegreen.Deploying:
			size += is.Release.Replicas*evidenceSize + failureSize
		case was.Release != nil && was.Record == is.Record:
			size += max(is.Release.Replicas-was.Release.Replicas, 0) * passedSize
		}
	}
	return size
}

// limitTexts returns the records with their reasons and causes cut to the limits. The
// error of the failed apply has the full texts.
func limitTexts(records []bluegreen.Record) []bluegreen.Record {
	records = slices.Clone(records)
	for i := range records {
		record := &records[i]
		record.Reason = cutText(record.Reason, maxReason)
		if record.Health == nil || len(record.Health.Causes) == 0 {
			continue
		}
		health := *record.Health
		checks := slices.Sorted(maps.Keys(health.Causes))
		kept := make(map[string]string, maxCauses)
		for _, check := range checks[:min(len(checks), maxCauses)] {
			kept[check] = cutText(health.Causes[check], maxCause)
		}
		health.Causes = kept
		record.Health = &health
	}
	return records
}

// cutText returns the beginning of text whose JSON has at most limit bytes, with an
// ellipsis if something is missing.
func cutText(text string, limit int) string {
	if jsonSize(text) <= limit {
		return text
	}
	const ellipsis = "…"
	size := jsonSize(ellipsis)
	for i, r := range text {
		if size += jsonSize(string(r)); size > limit {
			return text[:i] + ellipsis
		}
	}
	return text
}

// jsonSize returns the size of text in JSON, without the quotes around it.
func jsonSize(text string) int {
	// A string can always be encoded.
	encoded, _ := json.Marshal(text)
	return len(encoded) - len(`""`)
}
