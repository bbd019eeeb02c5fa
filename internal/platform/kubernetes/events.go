// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// phase is what an Event on the Service says, so that `kubectl get events` tells
// the story of a deployment.
type phase struct {
	// kind is Normal or Warning.
	kind, reason, message string
}

// phases are what happened between two ledgers.
func phases(before, next bluegreen.Ledger) []phase {
	var told []phase
	tell := func(kind, reason, format string, args ...any) {
		told = append(told, phase{kind, reason, fmt.Sprintf(format, args...)})
	}
	live, serving := next.LiveRecord()
	former, _ := before.LiveRecord()
	switch {
	case next.Destroying && !before.Destroying:
		tell(corev1.EventTypeNormal, "Destroying", "no traffic from now on")
	case serving && live.ID != former.ID && live.Operation == bluegreen.OpRollback:
		tell(corev1.EventTypeWarning, "RolledBack", "traffic is back on %s in %s: %s", live.Version, next.Live, live.Reason)
	case serving && live.ID != former.ID && former.Replaced == live.ID:
		tell(corev1.EventTypeWarning, "SwitchUndone", "traffic is back on %s in %s", live.Version, next.Live)
	case serving && live.ID != former.ID:
		tell(corev1.EventTypeNormal, "Switched", "traffic goes to %s in %s", live.Version, next.Live)
	case serving && before.WatchDue != "" && next.WatchDue == "":
		tell(corev1.EventTypeNormal, "Watched", "%s in %s stayed healthy", live.Version, next.Live)
	case serving && !next.Slot(next.Live).Release.Autoscaled && before.Slot(next.Live).Release.Replicas != next.Slot(next.Live).Release.Replicas:
		tell(corev1.EventTypeNormal, "Scaled", "%s in %s, replicas: %d", live.Version, next.Live, next.Slot(next.Live).Release.Replicas)
	}
	if standby := before.Slot(next.Staging()); standby.State == bluegreen.Idle && standby.Release != nil && next.Slot(next.Staging()).Release == nil && !next.Destroying {
		tell(corev1.EventTypeNormal, "StandbyRemoved", "%s in %s: no rollback goes there any more", standby.Release.Version, next.Staging())
	}
	staging := next.Slot(next.Staging())
	if record, known := next.Record(staging.Record); known {
		was := before.Slot(next.Staging())
		switch {
		case staging.State == bluegreen.Deploying && was.Record != staging.Record:
			tell(corev1.EventTypeNormal, "Deploying", "%s to %s, replicas: %d", record.Version, record.Environment, record.Replicas)
		case staging.State == bluegreen.Ready && was.State == bluegreen.Deploying:
			tell(corev1.EventTypeNormal, "Deployed", "%s runs in %s and awaits its health check", record.Version, record.Environment)
		case staging.State == bluegreen.Ready && staging.Checked && !was.Checked:
			tell(corev1.EventTypeNormal, "Healthy", "%s in %s passed its health check", record.Version, record.Environment)
		case staging.State == bluegreen.Failed && was.State != bluegreen.Failed:
			tell(corev1.EventTypeWarning, "Failed", "%s in %s: %s", record.Version, record.Environment, record.Reason)
		}
	}
	return told
}

// adopted is that what served already has become the blue environment.
func adopted(k known) phase {
	return phase{corev1.EventTypeNormal, "Adopted", fmt.Sprintf("Deployment %s, %s, serves as blue", k.adopted.Deployment, k.ledger.Blue.Release.Version)}
}

// incomplete is a commit that was written, and of what is done after it something
// was not. The next commit does that.
func incomplete(err error) phase {
	return phase{corev1.EventTypeWarning, "Incomplete", err.Error()}
}

// maxEventMessage is what Kubernetes allows a message to have, in bytes.
const maxEventMessage = 1024

// tell writes the Events of a commit in the background: nobody waits for them,
// and without them everything else is as it is.
func (p *Platform) tell(s *session, told []phase) {
	k := p.remembered()
	if len(told) == 0 || k.service == nil {
		return
	}
	subject := corev1.ObjectReference{
		Kind: serviceKind.Kind, APIVersion: serviceKind.APIVersion,
		Namespace: k.service.Namespace, Name: k.service.Name, UID: k.service.UID,
	}
	s.running.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), unlockTime)
		defer cancel()
		for _, phase := range told {
			now := metav1.NewTime(s.api.clock.now())
			_, _ = s.api.events(subject.Namespace).Create(ctx, &corev1.Event{
				ObjectMeta:     metav1.ObjectMeta{GenerateName: subject.Name + ".", Namespace: subject.Namespace},
				InvolvedObject: subject, Type: phase.kind, Reason: phase.reason,
				Message:        phase.message[:min(len(phase.message), maxEventMessage)],
				Source:         corev1.EventSource{Component: fieldManager},
				FirstTimestamp: now, LastTimestamp: now, Count: 1,
			}, metav1.CreateOptions{})
		}
	})
}
