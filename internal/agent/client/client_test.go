// SPDX-License-Identifier: MPL-2.0

package client

import (
	"errors"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
)

func TestVersionErrorNamesBothVersionsAndTheProcess(t *testing.T) {
	t.Parallel()
	c := &Client{api: api.Version + 1}
	agent := &api.VersionReply{API: api.Version, PID: 42}
	err := c.remote(api.Failure{Code: api.CodeVersion, Agent: agent})
	var version *VersionError
	if !errors.As(err, &version) || version.Agent != api.Version || version.Provider != c.api || version.PID != 42 {
		t.Fatal(err)
	}
	for _, text := range []string{"the agent speaks API 1, this provider needs 2", "restart the agent", "kill 42"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q is missing in %q", text, err)
		}
	}
}
