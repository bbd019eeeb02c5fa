// SPDX-License-Identifier: MPL-2.0

package store

import (
	"slices"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// CanReceiveTraffic reports whether a replica gets traffic when those in passed have passed
// their health check. Without an incarnation any run of the replica will do.
func CanReceiveTraffic(passed []bluegreen.InstanceRef, replica bluegreen.InstanceRef) bool {
	return slices.ContainsFunc(passed, func(ref bluegreen.InstanceRef) bool {
		if replica.Incarnation == "" {
			return ref.ID == replica.ID
		}
		return isRunOf(ref, replica.ID, replica.Incarnation)
	})
}

// isRunOf reports whether ref is a run of the replica called id with this
// incarnation; see ExternalReplica.Incarnation.
func isRunOf(ref bluegreen.InstanceRef, id, incarnation string) bool {
	own, _, _ := strings.Cut(ref.Incarnation, "/")
	return ref.ID == id && own == incarnation
}
