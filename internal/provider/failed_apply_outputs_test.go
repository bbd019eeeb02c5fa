// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exampleModule is a configuration that uses the module of the examples with the outputs that its
// users see. Its health check takes long to give up, so here it does not.
func (h localHarness) exampleModule(tf *cli, release string) string {
	h.t.Helper()
	module := filepath.Join(tf.dir, "service")
	if err := os.CopyFS(module, os.DirFS(filepath.Join(examplesDir, "modules", "service"))); err != nil &&
		!os.IsExist(err) {
		h.t.Fatal(err)
	}
	path := filepath.Join(module, "main.tf")
	content, err := os.ReadFile(path)
	if err != nil {
		h.t.Fatal(err)
	}
	hasty := strings.Replace(string(content), "    http = {", "    timeout = \"2s\"\n    retries = 0\n    http = {", 1)
	if !strings.Contains(string(content), "timeout =") {
		if err := os.WriteFile(path, []byte(hasty), 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	return h.providerConfig() + fmt.Sprintf(`
module "web" {
  source    = "./service"
  name      = %q
  image     = %q
  bake_time = "0s"
  replicas  = 1
  listen    = "127.0.0.1:0"
  %s
}
output "web" { value = module.web }
`, h.name, h.image(), release)
}

// An apply fails. The outputs of the module say what answers, and not what was planned.
func TestOutputsAfterAFailedApply(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	outputs := func() (web struct {
		Endpoint          string `json:"endpoint"`
		LiveVersion       string `json:"live_version"`
		LiveEnvironment   string `json:"live_environment"`
		RollbackAvailable bool   `json:"rollback_available"`
	}) {
		t.Helper()
		if err := json.Unmarshal([]byte(tf.must("output", "-json", "web")), &web); err != nil {
			t.Fatal(err)
		}
		return web
	}
	requireTrue := func(version string) {
		t.Helper()
		web := outputs()
		answer, err := h.get(t.Context(), web.Endpoint)
		if err != nil || answer != version || web.LiveVersion != version {
			t.Errorf("a client is answered with %q, %v, and the outputs say %+v; want %s", answer, err, web, version)
		}
	}
	tf.write(h.exampleModule(tf, `release = "1.0.0"`))
	tf.must("init")
	tf.must("apply", "-auto-approve")
	requireTrue("1.0.0")
	tf.apply(h.exampleModule(tf, `release = "2.0.0"`))
	requireTrue("2.0.0")

	tf.write(h.exampleModule(tf, `release = "3.0.0"
  env = { REPLICA = "`+unhealthy+`" }`))
	tf.mustFail("apply", "-auto-approve")
	requireTrue("2.0.0")
	// The failed deploy has given up the standby.
	mustContain(t, tf.must("show"), "rollback_available = false")
	tf.must("apply", "-refresh-only", "-auto-approve")
	if web := outputs(); web.RollbackAvailable {
		t.Errorf("after a refresh the outputs say %+v", web)
	}
}
