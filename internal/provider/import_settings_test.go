// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

// What an earlier version has stored of a deployment that speaks TCP has no timeout of answers. An
// import must not configure one, which the plan would refuse.
func TestImportConfiguresNoResponseTimeoutWithTCP(t *testing.T) {
	t.Parallel()
	for speaks, want := range map[protocol.Protocol]bool{protocol.TCP: false, protocol.HTTP: true} {
		has := false
		for _, filled := range frontendAttributes(kindLocal, local.Frontend{Protocol: speaks}) {
			has = has || filled.path.String() == "local.response_timeout"
		}
		if has != want {
			t.Errorf("%s: a timeout is filled in: %t, want %t", speaks, has, want)
		}
	}
}
