// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

const dataAddress = "data.bluegreen_deployment.web"

func dataHas(value knownvalue.Check, attribute tfjsonpath.Path) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(dataAddress, attribute, value)
}

// The data source tells what serves and what came before, newest first. The list of deployments
// has it too.
func TestDataSource(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		reading := fmt.Sprintf(
			"data \"bluegreen_deployment\" \"web\" {\n  name = %q\n  %s\n  depends_on = [%s]\n}\n",
			h.name,
			h.dataBlock(),
			address,
		)
		listing := fmt.Sprintf(`data "bluegreen_deployments" "all" {
  %[1]s
  depends_on = [%[2]s]
}
output "listed" {
  value = [for d in data.bluegreen_deployments.all.deployments : d.live_version
    if d.name == %[3]q && d.endpoint == %[2]s.endpoint]
}
`, h.dataBlock(), address, h.name)
		record := func(i int, name string) tfjsonpath.Path {
			return tfjsonpath.New("history").AtSliceIndex(i).AtMapKey(name)
		}
		h.run(
			resource.TestStep{Config: h.config(version("1.0.0"))},
			resource.TestStep{Config: h.config(version("2.0.0"))},
			resource.TestStep{
				Config: h.config(version("2.0.0"), rollback(true)) + reading + listing,
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownOutputValue("listed",
						knownvalue.TupleExact([]knownvalue.Check{text("1.0.0")})),
					dataHas(text("1.0.0"), tfjsonpath.New("live_version")),
					dataHas(text("green"), tfjsonpath.New("live_environment")),
					dataHas(knownvalue.ListSizeExact(3), tfjsonpath.New("history")),
					dataHas(text("rollback-3"), record(0, "id")),
					dataHas(text("live"), record(0, "status")),
					dataHas(knownvalue.Null(), record(0, "health")),
					dataHas(text("rolled_back"), record(1, "status")),
					dataHas(knownvalue.NotNull(), record(1, "rolled_back_at")),
					dataHas(knownvalue.Bool(true), record(1, "health").AtMapKey("details").AtMapKey("blue-1 http")),
					dataHas(text("superseded"), record(2, "status")),
					dataHas(knownvalue.StringRegexp(regexp.MustCompile(`@.* pid \d+`)), record(2, "actor")),
				},
			},
		)
	})
}

func TestDataSourceNotFound(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	h.run(resource.TestStep{
		Config:      h.providerConfig() + "data \"bluegreen_deployment\" \"web\" {\n  name = \"web\"\n}\n",
		ExpectError: regexp.MustCompile(`(?s)There is no such deployment.*"web"`),
	})
}
