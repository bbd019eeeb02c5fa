// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// address is where the tests' only resource is.
const address = "bluegreen_deployment.web"

// waitLimit is the longest wait for something that must happen, on a slow machine.
const waitLimit = time.Minute

// pollInterval is the time between two checks of what cannot be waited for.
const pollInterval = 10 * time.Millisecond

// harness runs a test of one deployment on a platform under test.
type harness struct {
	t *testing.T
	// name is the deployment's.
	name string
	platformUnderTest
}

// attributes are the settings of a resource, as HCL expressions.
type attributes map[string]string

// config is a configuration with the deployment.
func (h *harness) config(overriding ...attributes) string {
	return h.providerConfig() + h.resource("web", overriding...)
}

// resource is a deployment whose settings are quick unless overriding says otherwise.
func (h *harness) resource(label string, overriding ...attributes) string {
	settings := attributes{
		"name":          fmt.Sprintf("%q", h.name),
		"version":       `"1.0.0"`,
		"image":         fmt.Sprintf("%q", h.image()),
		"bake_time":     `"0s"`,
		"drain_timeout": `"1s"`,
		"health_check":  `{ http = { path = "/healthz" }, interval = "100ms" }`,
	}
	for _, more := range append([]attributes{h.settings()}, overriding...) {
		maps.Copy(settings, more)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "resource \"bluegreen_deployment\" %q {\n", label)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "  %s = %s\n", name, settings[name])
	}
	b.WriteString("}\n")
	return b.String()
}

func (h *harness) providerConfig() string {
	return "provider \"bluegreen\" {\n  " + h.providerBlock() + "\n}\n"
}

func version(v string) attributes { return attributes{"version": fmt.Sprintf("%q", v)} }

func rollback(on bool) attributes { return attributes{"rollback": fmt.Sprint(on)} }

// behaving makes the replicas of a release behave as the package replica says.
func behaving(how string) attributes {
	return attributes{"env": fmt.Sprintf("{ REPLICA = %q, SECRET = %q }", how, secret)}
}

const secret = "correct-horse-battery"

// run runs the steps of a test and destroys what is left.
func (h *harness) run(steps ...resource.TestStep) {
	h.t.Helper()
	resource.UnitTest(h.t, resource.TestCase{
		ProtoV6ProviderFactories: factories(h.t),
		CheckDestroy:             func(*terraform.State) error { return h.requireGone() },
		Steps:                    steps,
	})
}

func factories(t testing.TB) map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){
		"bluegreen": func() (tfprotov6.ProviderServer, error) { return newComparingServer(t), nil },
	}
}

// outsider returns a deployer that works on the deployment without Terraform, until
// the test ends.
func (h *harness) outsider() *bluegreen.Deployer {
	h.t.Helper()
	platform, err := h.open(h.name)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(platform.Close)
	checker, err := health.New(health.Config{HTTP: &health.HTTP{Path: "/healthz"}})
	if err != nil {
		h.t.Fatal(err)
	}
	return bluegreen.NewDeployer(h.name, platform, checker, "ada@example pid 1")
}

// outside returns a step's PreConfig that changes the deployment without Terraform.
func (h *harness) outside(act func(context.Context, *bluegreen.Deployer) error) func() {
	return func() {
		h.t.Helper()
		if err := act(h.t.Context(), h.outsider()); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *harness) status() bluegreen.Status {
	h.t.Helper()
	status, err := h.outsider().Status(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return status
}

// requireGone returns an error unless there is no deployment.
func (h *harness) requireGone() error {
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	found, err := h.leftovers(ctx)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("left are %s", strings.Join(found, ", "))
	}
	return err
}

// answered returns an error unless a client of endpoint is answered by one of
// these versions, as soon as the platform sends clients where it says.
func (h *harness) answered(ctx context.Context, endpoint string, versions ...string) error {
	ask := func() (struct{}, error) {
		got, err := h.get(ctx, endpoint)
		if err == nil && !slices.Contains(versions, got) {
			err = fmt.Errorf(
				"a client of %s is answered by %s, not by %s",
				endpoint,
				got,
				strings.Join(versions, " or "),
			)
		}
		return struct{}{}, err
	}
	if h.switchDelay() == 0 {
		_, err := ask()
		return err
	}
	_, err := backoff.Retry(
		ctx,
		ask,
		backoff.WithBackOff(backoff.NewConstantBackOff(pollInterval)),
		backoff.WithMaxElapsedTime(h.switchDelay()),
	)
	return err
}

// get returns what a client of endpoint is answered.
func (h *harness) get(ctx context.Context, endpoint string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	if !strings.Contains(endpoint, "://") {
		// Of the protocol a Service says nothing.
		endpoint = "http://" + endpoint
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return "", err
	}
	// A connection of its own, closed afterwards: that is a new client.
	transport := &http.Transport{DisableKeepAlives: true, DialContext: h.dial}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	return string(body), err
}
