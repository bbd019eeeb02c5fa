// SPDX-License-Identifier: MPL-2.0

package platformtest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	platformtest.Run(t, platformtest.NewMemory())
}
