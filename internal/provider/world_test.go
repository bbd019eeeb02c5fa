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

// patience is for what must happen and takes as long as the machine is slow.
const patience = time.Minute

// pause is between two looks at what cannot be waited for.
const pause = 10 * time.Millisecond

// world has a deployment in it, on a platform of its own.
type world struct {
	t *testing.T
	// name is the deployment's.
	name string
	ground
}

// attributes are the settings of a resource, as HCL expressions.
type attributes map[string]string

// config is a configuration with the deployment.
func (w *world) config(overriding ...attributes) string {
	return w.providerConfig() + w.resource("web", overriding...)
}

// resource is a deployment whose settings are quick unless overriding says otherwise.
func (w *world) resource(label string, overriding ...attributes) string {
	settings := attributes{
		"name":          fmt.Sprintf("%q", w.name),
		"version":       `"1.0.0"`,
		"image":         fmt.Sprintf("%q", w.image()),
		"bake_time":     `"0s"`,
		"drain_timeout": `"1s"`,
		"health_check":  `{ http = { path = "/healthz" }, interval = "100ms" }`,
	}
	for _, more := range append([]attributes{w.settings()}, overriding...) {
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

func (w *world) providerConfig() string {
	return "provider \"bluegreen\" {\n  " + w.providerBlock() + "\n}\n"
}

func version(v string) attributes { return attributes{"version": fmt.Sprintf("%q", v)} }

func rollback(on bool) attributes { return attributes{"rollback": fmt.Sprint(on)} }

// conduct makes the release fare as replica_test.go says.
func conduct(how string) attributes {
	return attributes{"env": fmt.Sprintf("{ REPLICA = %q, SECRET = %q }", how, secret)}
}

const secret = "correct-horse-battery"

// play runs the steps of a story and destroys what is left.
func (w *world) play(steps ...resource.TestStep) {
	w.t.Helper()
	resource.UnitTest(w.t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy:             func(*terraform.State) error { return w.gone() },
		Steps:                    steps,
	})
}

func factories() map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){
		"bluegreen": func() (tfprotov6.ProviderServer, error) { return newDoubled(), nil },
	}
}

// outsider works on the deployment without Terraform, until the test ends.
func (w *world) outsider() *bluegreen.Deployer {
	w.t.Helper()
	platform, err := w.open(w.name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(platform.Close)
	checker, err := health.New(health.Config{HTTP: &health.HTTP{Path: "/healthz"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return bluegreen.NewDeployer(w.name, platform, checker, "ada@example pid 1")
}

// outside returns a step's preparation that somebody else does.
func (w *world) outside(act func(context.Context, *bluegreen.Deployer) error) func() {
	return func() {
		w.t.Helper()
		if err := act(w.t.Context(), w.outsider()); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) status() bluegreen.Status {
	w.t.Helper()
	status, err := w.outsider().Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return status
}

// gone returns an error unless there is no deployment.
func (w *world) gone() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found, err := w.left(ctx)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("left are %s", strings.Join(found, ", "))
	}
	return err
}

// answered returns an error unless a client of endpoint is answered by one of
// these versions, as soon as the platform sends clients where it says.
func (w *world) answered(ctx context.Context, endpoint string, versions ...string) error {
	ask := func() (struct{}, error) {
		got, err := w.get(ctx, endpoint)
		if err == nil && !slices.Contains(versions, got) {
			err = fmt.Errorf("a client of %s is answered by %s, not by %s", endpoint, got, strings.Join(versions, " or "))
		}
		return struct{}{}, err
	}
	if w.lag() == 0 {
		_, err := ask()
		return err
	}
	_, err := backoff.Retry(ctx, ask, backoff.WithBackOff(backoff.NewConstantBackOff(pause)), backoff.WithMaxElapsedTime(w.lag()))
	return err
}

// get returns what a client of endpoint is answered.
func (w *world) get(ctx context.Context, endpoint string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
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
	transport := &http.Transport{DisableKeepAlives: true, DialContext: w.dial}
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
