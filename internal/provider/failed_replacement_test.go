// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// createFirst makes Terraform create the replacement of the last resource in config before it
// destroys it.
func createFirst(config string) string {
	return strings.TrimSuffix(config, "}\n") + "  lifecycle {\n    create_before_destroy = true\n  }\n}\n"
}

// A replacement that cannot be created leaves the deployment as it was, in Terraform's state too.
func TestFailedReplacementChangesNothing(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	at := func(address string) attributes { return attributes{"local": fmt.Sprintf("{ listen = %q }", address)} }
	address := freeAddress(t)
	before := createFirst(h.config(version("1.0.0"), at(address)))
	tf.apply(before)
	requireUnchanged := func() {
		t.Helper()
		h.answers("1.0.0")
		tf.write(before)
		tf.must("plan", "-detailed-exitcode")
	}

	other := attributes{"name": `"other"`}
	tf.write(createFirst(h.config(version("1.0.0"), at(address), other)))
	mustContain(t, tf.must("plan"), "The deployment is replaced", "By default it is destroyed first",
		"This apply then fails, because both have the address http://"+address)
	mustContain(t, tf.mustFail("apply", "-auto-approve"), "cannot listen on "+address, "Nothing was left behind")
	requireUnchanged()

	image := filepath.Join(t.TempDir(), "service")
	if err := os.Link(h.image(), image); err != nil {
		t.Fatal(err)
	}
	elsewhere := attributes{"image": fmt.Sprintf("%q", image)}
	tf.write(createFirst(h.config(version("1.0.0"), at(freeAddress(t)), other, elsewhere)))
	mustContain(t, tf.must("plan", "-out", "other.tfplan"),
		"the other one is created first, and there is no interruption")
	if err := os.Remove(image); err != nil {
		t.Fatal(err)
	}
	mustContain(t, tf.mustFail("apply", "other.tfplan"),
		"image "+image+": it does not exist", "Nothing was left behind")
	requireUnchanged()

	mustContain(t, tf.mustFail("apply", "-auto-approve", "-replace=bluegreen_deployment.web"),
		"A deployment of this name exists already", "give the new one another name")
	requireUnchanged()

	// By default nothing would serve any more.
	tf.write(h.config(version("1.0.0"), at(address), other, elsewhere))
	mustContain(t, tf.mustFail("plan"), "Error: The image cannot be deployed")
	requireUnchanged()
}

// The address of one deployment goes to another one in the same apply.
func TestAnotherDeploymentTakesTheAddress(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	deployment := func(name, address string, more ...attributes) string {
		own := attributes{"name": fmt.Sprintf("%q", name), "local": fmt.Sprintf("{ listen = %q }", address)}
		return h.resource(name, append(more, own)...)
	}
	first, second, third := freeAddress(t), freeAddress(t), freeAddress(t)
	tf.apply(h.providerConfig() + deployment("web", first) + deployment("shop", second, version("2.0.0")))
	moved := deployment("shop", first, version("2.0.0"), attributes{"depends_on": "[bluegreen_deployment.web]"})
	tf.write(h.providerConfig() + deployment("web", third) + moved)
	mustContain(t, tf.must("apply", "-auto-approve"),
		`the deployment "web" uses this address`, "make sure with depends_on that it does so first")
	for address, version := range map[string]string{first: "2.0.0", third: "1.0.0"} {
		if err := h.answered(t.Context(), "http://"+address, version); err != nil {
			t.Error(err)
		}
	}
	// One that is created can take it as well.
	tf.write(h.providerConfig() + moved[:strings.Index(moved, "  depends_on")] +
		moved[strings.Index(moved, "  drain_timeout"):] + deployment("api", third))
	mustContain(t, tf.must("plan"), `the deployment "web" uses this address`)
}
