// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// address is where the tests' only resource is.
const address = "bluegreen_deployment.web"

// patience is for what must happen and takes as long as the machine is slow.
const patience = time.Minute

// pause is between two looks at what cannot be waited for.
const pause = 10 * time.Millisecond

// world is a state directory of its own, with a deployment called web in it.
type world struct {
	t        *testing.T
	stateDir string
	image    string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	// t.TempDir has a longer path than a Unix socket may have.
	dir, err := os.MkdirTemp("", "bgw")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, stateDir: filepath.Join(dir, "state"), image: replicaScript(t, dir)}
	t.Cleanup(func() {
		w.nothingLeft()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return w
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
		"name":          `"web"`,
		"version":       `"1.0.0"`,
		"image":         fmt.Sprintf("%q", w.image),
		"bake_time":     `"0s"`,
		"drain_timeout": `"1s"`,
		"health_check":  `{ http = { path = "/healthz" }, interval = "100ms" }`,
	}
	for _, more := range overriding {
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
	return fmt.Sprintf("provider \"bluegreen\" {\n  local = { state_dir = %q }\n}\n", w.stateDir)
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

// outsider works on the deployment without Terraform.
func (w *world) outsider() *bluegreen.Deployer {
	w.t.Helper()
	command, err := agentCommand()
	if err != nil {
		w.t.Fatal(err)
	}
	platform, err := local.New(local.Options{StateDir: w.stateDir, Name: "web", AgentCommand: command})
	if err != nil {
		w.t.Fatal(err)
	}
	checker, err := health.New(health.Config{HTTP: &health.HTTP{Path: "/healthz"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return bluegreen.NewDeployer("web", platform, checker, "ada@example pid 1")
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
	entries, err := os.ReadDir(filepath.Join(w.stateDir, "deployments"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("deployment %s is left", entries[0].Name())
	}
	return nil
}

// get returns what a client of endpoint is answered.
func get(ctx context.Context, endpoint string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return "", err
	}
	// A connection of its own, closed afterwards: that is a new client.
	transport := &http.Transport{DisableKeepAlives: true}
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

// nothingLeft waits for the agent to leave, and looks for what it has left.
func (w *world) nothingLeft() {
	w.t.Helper()
	if _, err := os.Stat(w.stateDir); os.IsNotExist(err) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// The agent holds this lock for as long as it lives.
	lock := flock.New(filepath.Join(w.stateDir, "agent.lock"))
	if _, err := lock.TryLockContext(ctx, pause); err != nil {
		w.t.Errorf("the agent did not leave: %v", err)
		return
	}
	defer lock.Close()
	for _, dir := range []string{"deployments", "images"} {
		entries, err := os.ReadDir(filepath.Join(w.stateDir, dir))
		if err != nil && !os.IsNotExist(err) {
			w.t.Error(err)
		}
		for _, entry := range entries {
			w.t.Errorf("%s/%s is left", dir, entry.Name())
		}
	}
	for _, process := range w.processes() {
		w.t.Errorf("process %s is left", process)
	}
}

// processes are those that work in the state directory, where /proc tells.
func (w *world) processes() []string {
	found, _ := filepath.Glob("/proc/[0-9]*/cwd")
	return slices.DeleteFunc(found, func(link string) bool {
		dir, err := os.Readlink(link)
		return err != nil || !strings.HasPrefix(dir, w.stateDir)
	})
}
