// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// event is an Event to be recorded on the Service, so that `kubectl get events` shows
// what a deployment does.
type event struct {
	// kind is Normal or Warning.
	kind, reason, message string
}

func normalEvent(reason, format string, args ...any) event {
	return event{corev1.EventTypeNormal, reason, fmt.Sprintf(format, args...)}
}

func warningEvent(reason, format string, args ...any) event {
	return event{corev1.EventTypeWarning, reason, fmt.Sprintf(format, args...)}
}

// eventsBetween returns the events of the commit that led from one ledger to the next.
func eventsBetween(before, next bluegreen.Ledger) []event {
	var events []event
	if happened := liveEvent(before, next); happened != nil {
		events = append(events, *happened)
	}
	env := next.Staging()
	standby := before.Slot(env)
	hadStandby := standby.State == bluegreen.Idle && standby.Release != nil
	if hadStandby && next.Slot(env).Release == nil && !next.Destroying {
		events = append(events, normalEvent("StandbyRemoved",
			"%s in %s was removed: a rollback to it is no longer possible", standby.Release.Version, env))
	}
	if happened := stagingEvent(before, next); happened != nil {
		events = append(events, *happened)
	}
	return events
}

// liveEvent returns what happened to the live environment, or nil if nothing did.
func liveEvent(before, next bluegreen.Ledger) *event {
	live, isServing := next.LiveRecord()
	former, _ := before.LiveRecord()
	var happened event
	switch {
	case next.Destroying && !before.Destroying:
		happened = normalEvent("Destroying", "no traffic from now on")
	case !isServing:
		return nil
	case live.ID != former.ID && live.Operation == bluegreen.OpRollback:
		happened = warningEvent("RolledBack", "traffic is back on %s in %s: %s", live.Version, next.Live, live.Reason)
	case live.ID != former.ID && former.Replaced == live.ID:
		happened = warningEvent("SwitchUndone", "traffic is back on %s in %s", live.Version, next.Live)
	case live.ID != former.ID:
		happened = normalEvent("Switched", "traffic goes to %s in %s", live.Version, next.Live)
	case before.WatchDue != "" && next.WatchDue == "":
		happened = normalEvent("Watched", "%s in %s stayed healthy", live.Version, next.Live)
	default:
		was, is := before.Slot(next.Live).Release, next.Slot(next.Live).Release
		if is.Autoscaled || was.Replicas == is.Replicas {
			return nil
		}
		happened = normalEvent("Scaled", "%s in %s, replicas: %d", live.Version, next.Live, is.Replicas)
	}
	return &happened
}

// stagingEvent returns what happened to the release in staging, or nil if nothing did.
func stagingEvent(before, next bluegreen.Ledger) *event {
	was, is := before.Slot(next.Staging()), next.Slot(next.Staging())
	record, exists := next.Record(is.Record)
	if !exists {
		return nil
	}
	version, env := record.Version, record.Environment
	var happened event
	switch {
	case is.State == bluegreen.Deploying && was.Record != is.Record:
		happened = normalEvent("Deploying", "%s to %s, replicas: %d", version, env, record.Replicas)
	case is.State == bluegreen.Ready && was.State == bluegreen.Deploying:
		happened = normalEvent("Deployed", "%s runs in %s and awaits its health check", version, env)
	case is.State == bluegreen.Ready && is.Checked && !was.Checked:
		happened = normalEvent("Healthy", "%s in %s passed its health check", version, env)
	case is.State == bluegreen.Failed && was.State != bluegreen.Failed:
		happened = warningEvent("Failed", "%s in %s: %s", version, env, record.Reason)
	default:
		return nil
	}
	return &happened
}

// adoptedEvent says that an existing Deployment has become the blue environment.
func adoptedEvent(snapshot serviceSnapshot) event {
	return normalEvent("Adopted", "Deployment %s, %s, serves as blue",
		snapshot.adopted.Deployment, snapshot.ledger.Blue.Release.Version)
}

// incompleteEvent says that a commit was written, but not everything that follows it. The
// next commit writes the rest.
func incompleteEvent(err error) event {
	return event{corev1.EventTypeWarning, "Incomplete", err.Error()}
}

// maxEventMessage is the length that Kubernetes allows for a message, in bytes.
const maxEventMessage = 1024

// recordEvents writes the events in the background. No caller waits for them, and an
// error is ignored.
func (p *Platform) recordEvents(run *lockedRun, events []event) {
	service := p.lastSnapshot().service
	if len(events) == 0 || service == nil {
		return
	}
	subject := corev1.ObjectReference{
		Kind: serviceKind.Kind, APIVersion: serviceKind.APIVersion,
		Namespace: service.Namespace, Name: service.Name, UID: service.UID,
	}
	run.Go(unlockTime, func(ctx context.Context) {
		for _, e := range events {
			now := metav1.NewTime(run.API().Now())
			_, _ = run.API().Events(subject.Namespace).Create(ctx, &corev1.Event{
				ObjectMeta:     metav1.ObjectMeta{GenerateName: subject.Name + ".", Namespace: subject.Namespace},
				InvolvedObject: subject, Type: e.kind, Reason: e.reason,
				Message:        cutText(e.message, maxEventMessage),
				Source:         corev1.EventSource{Component: cluster.FieldManager},
				FirstTimestamp: now, LastTimestamp: now, Count: 1,
			}, metav1.CreateOptions{})
		}
	})
}
