// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// UnreadableError is an object of ours whose content cannot be read.
type UnreadableError struct {
	// Object is "Service default/web".
	Object string
	Err    error
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("%s cannot be read: %v", e.Object, e.Err)
}

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *UnreadableError) Unwrap() error { return e.Err }

// NotManagedError is an object that has the name of one of ours and was made by
// somebody else.
type NotManagedError struct {
	// Object is "Service default/web".
	Object string
	// Adoptable is set where it is the Service that clients use, which can be adopted.
	Adoptable bool
}

func (e *NotManagedError) Error() string {
	text := e.Object + " exists and is not managed by this provider. It was not changed: " +
		"rename or remove it, or give the deployment another name"
	if e.Adoptable {
		text += ", or take it over with kubernetes.adopt"
	}
	return text
}

// BeingDeletedError is an object that somebody has deleted and that its finalizers
// still hold. What is written to it is lost.
type BeingDeletedError struct {
	// Object is "Service default/web".
	Object     string
	Since      time.Time
	Finalizers []string
}

func (e *BeingDeletedError) Error() string {
	return fmt.Sprintf("%s is being deleted since %s and is held by its finalizers (%s): "+
		"wait for the controllers that remove them, or remove them where no controller does, and try again",
		e.Object, e.Since.UTC().Format(time.RFC3339), strings.Join(e.Finalizers, ", "))
}

// newBeingDeletedError returns the error about an object that has a DeletionTimestamp.
func newBeingDeletedError(kind string, o metav1.Object) *BeingDeletedError {
	object := objectName(kind, o.GetNamespace(), o.GetName())
	return &BeingDeletedError{object, o.GetDeletionTimestamp().Time, o.GetFinalizers()}
}

// OrphanError are pods that no controller ends, as those of a Deployment that was
// deleted with --cascade=orphan.
type OrphanError struct {
	// Object is "Deployment default/web-green".
	Object string
	Pods   []string
}

func (e *OrphanError) Error() string {
	return fmt.Sprintf("%s was deleted without its pods (%s), which no controller ends: "+
		"delete them and their ReplicaSet", e.Object, strings.Join(e.Pods, ", "))
}
