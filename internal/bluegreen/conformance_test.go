// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConformance runs the conformance suite on the platform in memory.
func TestConformance(t *testing.T) {
	platformtest.Run(t, platformtest.NewMemory())
}
