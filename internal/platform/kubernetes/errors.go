// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// couldNotAsk returns an error of the cluster as one that says nothing about an instance.
func couldNotAsk(err error) error { return fmt.Errorf("%w: %w", bluegreen.ErrCouldNotAsk, err) }

// explainUnanswered returns err as one of bluegreen.ErrCouldNotAsk if the cluster did not
// answer. Other errors come from the pod, and it returns them as they are.
func explainUnanswered(err error) error {
	if _, ok := errors.AsType[*cluster.UnansweredError](err); ok {
		return couldNotAsk(err)
	}
	return err
}

// UnreadableError is an object of ours whose content cannot be read.
type UnreadableError struct {
	// Object is "Service default/web".
	Object string
	Err    error
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("%s cannot be read and was not changed: %v", e.Object, e.Err)
}

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *UnreadableError) Unwrap() error { return e.Err }

// notManagedError is an object that has the name of one of ours and is not
// managed by this provider.
type notManagedError struct {
	// Object is "Service default/web".
	Object string
	// Adoptable is set where it is the Service that clients use, which can be adopted.
	Adoptable bool
}

func (e *notManagedError) Error() string {
	text := e.Object + " exists and is not managed by this provider. It was not changed: " +
		"rename or remove it, or give the deployment another name"
	if e.Adoptable {
		text += ", or take it over with kubernetes.adopt"
	}
	return text
}

// beingDeletedError is an object that was deleted and is still held by its
// finalizers. What is written to it is lost.
type beingDeletedError struct {
	// Object is "Service default/web".
	Object     string
	Since      time.Time
	Finalizers []string
}

func (e *beingDeletedError) Error() string {
	return fmt.Sprintf("%s was deleted at %s and is still held by its finalizers (%s): "+
		"wait for the controllers that remove them, or remove them where no controller does, and try again",
		e.Object, e.Since.UTC().Format(time.RFC3339), strings.Join(e.Finalizers, ", "))
}

// newBeingDeletedError returns the error about an object that has a DeletionTimestamp.
func newBeingDeletedError(kind string, o metav1.Object) *beingDeletedError {
	object := objectName(kind, o.GetNamespace(), o.GetName())
	return &beingDeletedError{object, o.GetDeletionTimestamp().Time, o.GetFinalizers()}
}

// orphanError are pods that no controller ends, as those of a Deployment that was
// deleted with --cascade=orphan.
type orphanError struct {
	// Object is "Deployment default/web-green".
	Object string
	Pods   []string
}

func (e *orphanError) Error() string {
	return fmt.Sprintf("%s was deleted without its pods (%s), and no controller removes them: "+
		"delete them and their ReplicaSet", e.Object, strings.Join(e.Pods, ", "))
}
