// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEngine tells the stories of the engine on the platform in memory.
func TestEngine(t *testing.T) {
	platformtest.Run(t, platformtest.NewMemory())
}
