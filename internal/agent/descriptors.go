// SPDX-License-Identifier: MPL-2.0

package agent

import "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"

// unknownDescriptorLimit is a limit that every system has at least.
const unknownDescriptorLimit = 1024

// mostReserved is how many descriptors are reserved at most. A replica needs about three: its
// log, its port, and a probe.
const mostReserved = 1024

// newDescriptors returns the descriptors of clients. A quarter of all, and at most mostReserved,
// is reserved for everything else: the API, replicas, probes and files.
func newDescriptors(limit int) *frontend.Descriptors {
	return frontend.NewDescriptors(limit - min(limit/4, mostReserved))
}
