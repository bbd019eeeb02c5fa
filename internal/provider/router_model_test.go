// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// A check over TLS goes with a router that passes TLS through, and with a platform that has
// no router of ours.
func TestCheckOverTLSNeedsClientsOverTLS(t *testing.T) {
	t.Parallel()
	onLocal := func(speaks types.String) planChecks { return localPlatform{localModel: localModel{Protocol: speaks}} }
	onDocker := func(speaks types.String) planChecks {
		return dockerPlatform{dockerModel: dockerModel{Protocol: speaks}}
	}
	for name, c := range map[string]struct {
		platform  planChecks
		scheme    string
		isRefused bool
	}{
		"local, by default":   {onLocal(types.StringNull()), "https", true},
		"local, http":         {onLocal(types.StringValue("http")), "https", true},
		"local, tcp":          {onLocal(types.StringValue("tcp")), "https", false},
		"local, not known":    {onLocal(types.StringUnknown()), "https", false},
		"local, without TLS":  {onLocal(types.StringNull()), "http", false},
		"docker, by default":  {onDocker(types.StringNull()), "https", true},
		"docker, tcp":         {onDocker(types.StringValue("tcp")), "https", false},
		"docker, without TLS": {onDocker(types.StringValue("http")), "", false},
		"kubernetes":          {kubernetesPlatform{}, "https", false},
	} {
		found := c.platform.conflicts(health.Config{HTTP: &health.HTTP{Scheme: c.scheme}})
		if found.HasError() != c.isRefused {
			t.Errorf("%s: %v", name, found)
		}
	}
	if found := onLocal(types.StringNull()).conflicts(health.Config{}); len(found) > 0 {
		t.Errorf("without a check: %v", found)
	}
}
