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

// couldNotAsk wraps an error of the cluster in bluegreen.ErrCouldNotAsk, because it says
// nothing about an instance.
func couldNotAsk(err error) error { return fmt.Errorf("%w: %w", bluegreen.ErrCouldNotAsk, err) }

// explainUnanswered returns err as one of bluegreen.ErrCouldNotAsk if the cluster did not
// answer. Other errors come from the pod, and it returns them as they are.
func explainUnanswered(err error) error {
	if _, ok := errors.AsType[*cluster.UnansweredError](err); ok {
		return couldNotAsk(err)
	}
	return err
}

// UnreadableError reports an object of the deployment whose content cannot be read.
type UnreadableError struct {
	// Object names the object, such as "Service default/web".
	Object string
	Err    error
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("%s cannot be read and was not changed: %v", e.Object, e.Err)
}

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *UnreadableError) Unwrap() error { return e.Err }

// notManagedError reports an object that has a name the deployment needs, and that this
// provider does not manage.
type notManagedError struct {
	// Object names the object, such as "Service default/web".
	Object string
	// Adoptable is set for the Service that clients use, because it can be adopted.
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

// beingDeletedError reports an object that was deleted and is still held by its
// finalizers. A write to it would be lost.
type beingDeletedError struct {
	// Object names the object, such as "Service default/web".
	Object     string
	Since      time.Time
	Finalizers []string
}

func (e *beingDeletedError) Error() string {
	return fmt.Sprintf("%s was deleted at %s and is still held by its finalizers (%s): "+
		"wait for the controllers that remove them, or remove them if no controller does, and try again",
		e.Object, e.Since.UTC().Format(time.RFC3339), strings.Join(e.Finalizers, ", "))
}

// newBeingDeletedError returns the error about an object that has a DeletionTimestamp.
func newBeingDeletedError(kind string, o metav1.Object) *beingDeletedError {
	object := objectName(kind, o.GetNamespace(), o.GetName())
	return &beingDeletedError{object, o.GetDeletionTimestamp().Time, o.GetFinalizers()}
}

// orphanError reports pods that no controller deletes, such as those of a Deployment that
// was deleted with --cascade=orphan.
type orphanError struct {
	// Object names the Deployment, such as "Deployment default/web-green".
	Object string
	Pods   []string
}

func (e *orphanError) Error() string {
	return fmt.Sprintf("%s was deleted without its pods (%s), and no controller removes them: "+
		"delete them and their ReplicaSet", e.Object, strings.Join(e.Pods, ", "))
}
