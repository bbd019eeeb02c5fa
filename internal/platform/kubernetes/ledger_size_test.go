// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// A ledger that does not fit is refused before anything is changed.
func TestClusterLedgerWithoutRoom(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	service, err := h.api.Services(h.Namespace).Get(t.Context(), h.Deployment, metav1.GetOptions{})
	h.must(err)
	room := maxAnnotations - len("manual")
	for key, value := range service.Annotations {
		room -= len(key) + len(value)
	}
	h.patchService(fmt.Sprintf(`{"metadata":{"annotations":{"manual":%q}}}`, strings.Repeat("x", room)))
	before, err := h.platform.Load(t.Context())
	h.must(err)
	var size *sizeError
	if err := h.apply(h.desired("2.0.0", 2)); !errors.As(err, &size) {
		t.Errorf("got %v", err)
	}
	after, err := h.platform.Load(t.Context())
	h.must(err)
	if after.Generation != before.Generation || len(h.podsOf(bluegreen.Blue)) > 0 {
		t.Error("something was changed")
	}
	h.requireServes("1.0.0")
	h.patchService(`{"metadata":{"annotations":{"manual":null}}}`)
	h.makeLive("2.0.0", 1)
	h.requireServes("2.0.0")
}

func TestLedgerThatWillNotFitIsRefused(t *testing.T) {
	t.Parallel()
	l := serving(bluegreen.Blue)
	annotations, err := document{ledger: l}.annotations()
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSize(annotations, map[string]string{"other": "text"}, l, l); err != nil {
		t.Errorf("a small one does not fit: %v", err)
	}
	var size *sizeError
	full := strings.Repeat("x", maxAnnotations)
	if err := checkSize(annotations, map[string]string{"other": full}, l, l); !errors.As(err, &size) {
		t.Errorf("the annotations of others are not counted: %v", err)
	}
	if err := checkSize(annotations, map[string]string{annotationLedger: full}, l, l); err != nil {
		t.Errorf("the annotation that is replaced is counted: %v", err)
	}
	large := webRelease
	large.Replicas = 2000
	before := l
	l.Green = bluegreen.Slot{State: bluegreen.Deploying, Release: &large}
	if err := checkSize(annotations, nil, before, l); !errors.As(err, &size) {
		t.Errorf("2000 replicas are deployed although their evidence will not fit: %v", err)
	}
}

// failingHealth is what a check finds of a release whose replicas fail all their checks,
// except for those in passed.
func failingHealth(env bluegreen.Environment, replicas int, passed []bluegreen.InstanceRef) *bluegreen.HealthResult {
	result := &bluegreen.HealthResult{Details: map[string]bool{}, Causes: map[string]string{}, Instances: passed}
	for n := range replicas {
		for _, check := range []string{"exec", "grpc", "http", "ready", "tcp"} {
			name := fmt.Sprintf("%s-%d %s", env, n+1, check)
			result.Details[name] = n < len(passed)
			if n >= len(passed) {
				result.Causes[name] = strings.Repeat("<\"日", 60)
			}
		}
	}
	return result
}

// commitSized returns the document after a commit that must fit.
func commitSized(t *testing.T, d document, next bluegreen.Ledger, closed ...bluegreen.Record) document {
	t.Helper()
	after := d.withLedger(next, closed, noon)
	annotations, err := after.annotations()
	if err == nil {
		err = checkSize(annotations, nil, d.ledger, next)
	}
	if err != nil {
		t.Fatalf("%d records in the history: %v", len(after.history), err)
	}
	return after
}

// Every deploy that is begun can be recorded, however it fails, and history does not fill
// the annotations.
func TestLedgerHasRoomForEveryEndOfADeploy(t *testing.T) {
	t.Parallel()
	for _, replicas := range []int{50, 100, 200, 300} {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			t.Parallel()
			var passed []bluegreen.InstanceRef
			for n := range replicas {
				run := incarnation(types.UID("0f9c8f2e-6d0b-4c77-9e6c-6b1f8b0c3a11"), 10)
				passed = append(passed, bluegreen.InstanceRef{ID: fmt.Sprintf("green-%d", n+1), Incarnation: run})
			}
			live := serving(bluegreen.Blue)
			live.HistoryLimit = 20
			live.Blue.Passed = passed
			live.Records[0].Health = failingHealth(bluegreen.Blue, replicas, passed)
			d := commitSized(t, document{}, live)
			for n := range 20 {
				release := webRelease
				release.Replicas = replicas
				record := live.Records[0]
				record.ID, record.Environment = fmt.Sprintf("deploy-%d", n+2), bluegreen.Green
				record.Health, record.Status = nil, bluegreen.StatusInProgress
				slot := bluegreen.Slot{State: bluegreen.Deploying, Release: &release, Record: record.ID}
				step := func() document {
					next := live
					next.Records, next.Green = []bluegreen.Record{live.Records[0], record}, slot
					return commitSized(t, d, next)
				}
				d = step()
				slot.State, slot.Passed = bluegreen.Ready, passed[:replicas-1]
				record.Health = failingHealth(bluegreen.Green, replicas, slot.Passed)
				d = step()
				slot.State, slot.Passed = bluegreen.Failed, nil
				record.Status, record.Reason = bluegreen.StatusFailed, strings.Repeat("replica <bad>; ", 100*replicas)
				record.Health = failingHealth(bluegreen.Green, replicas, nil)
				d = step()
				// A closed record keeps counts and causes.
				health := *record.Health
				health.Details, health.Instances = nil, nil
				record.Health = &health
				d = commitSized(t, d, live, record)
			}
			last := d.history[len(d.history)-1]
			if last.Reason == "" || len(last.Health.Causes) != maxCauses {
				t.Errorf("the last record has the reason %q and the causes %v", last.Reason, last.Health.Causes)
			}
		})
	}
}

// What is reserved when a deploy begins is at least what its end adds.
func TestReservedSizeIsSufficient(t *testing.T) {
	t.Parallel()
	for _, replicas := range []int{1, 50, 300} {
		var passed []bluegreen.InstanceRef
		for n := range replicas {
			run := incarnation(types.UID("0f9c8f2e-6d0b-4c77-9e6c-6b1f8b0c3a11"), 1000)
			passed = append(passed, bluegreen.InstanceRef{ID: fmt.Sprintf("green-%d", n+1), Incarnation: run})
		}
		release := webRelease
		release.Replicas = replicas
		size := func(state bluegreen.State, pass int, isChecked bool) int {
			l := serving(bluegreen.Blue)
			record := bluegreen.Record{ID: "deploy-2"}
			l.Green = bluegreen.Slot{State: state, Release: &release, Record: record.ID}
			if isChecked {
				l.Green.Passed, record.Reason = passed[:pass], strings.Repeat("x", 1<<20)
				record.Health = failingHealth(bluegreen.Green, replicas, passed[:pass])
			}
			l.Records = append(l.Records, record)
			annotations, err := document{}.withLedger(l, nil, noon).annotations()
			if err != nil {
				t.Fatal(err)
			}
			return len(annotations[annotationLedger])
		}
		before := size(bluegreen.Deploying, 0, false)
		next := serving(bluegreen.Blue)
		next.Green = bluegreen.Slot{State: bluegreen.Deploying, Release: &release}
		reserved := reservedSize(bluegreen.Ledger{}, next)
		for _, pass := range []int{0, replicas / 2, max(replicas-2, 0), replicas} {
			if grown := size(bluegreen.Ready, pass, true) - before; grown > reserved {
				t.Errorf("%d replicas, of which %d pass, add %d bytes, not %d", replicas, pass, grown, reserved)
			}
		}
	}
}

func TestScalingReservesRoomForTheReplicas(t *testing.T) {
	t.Parallel()
	before := serving(bluegreen.Blue)
	large := *before.Blue.Release
	large.Replicas += 300
	next := before
	next.Blue.Release = &large
	if got := reservedSize(before, next); got != 300*passedSize {
		t.Errorf("%d bytes are reserved for 300 more replicas", got)
	}
	if got := reservedSize(next, next); got != 0 {
		t.Errorf("%d bytes are reserved by a commit that begins nothing", got)
	}
}

func TestTextIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "short", strings.Repeat("日", 100), strings.Repeat("<", 100), "\xff\xfe"} {
		cut := cutText(text, 50)
		if jsonSize(cut) > 50 || cutText(cut, 50) != cut {
			t.Errorf("%q became %q", text, cut)
		}
		if jsonSize(text) <= 50 && cut != text {
			t.Errorf("%q fits and became %q", text, cut)
		}
	}
}
