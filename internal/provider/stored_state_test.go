// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// storedVersions are the versions of the provider whose states are kept in testdata.
var storedVersions = []string{"0.1.0-dev"}

// storedInstance is a resource as a Terraform state file has it.
type storedInstance struct {
	SchemaVersion int64           `json:"schema_version"`
	Attributes    json.RawMessage `json:"attributes"`
	Identity      json.RawMessage `json:"identity"`
	Private       []byte          `json:"private"`
}

// A state that an earlier version of the provider has written is read: its attributes,
// its identity, and the ledger in its private state. The directory of each state also
// has the files of the deployment, as the agent kept them.
func TestStatesOfEarlierVersionsAreRead(t *testing.T) {
	t.Parallel()
	for _, version := range storedVersions {
		for _, name := range []string{"simple", "full"} {
			t.Run(version+"/"+name, func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join("testdata", version, name)
				var stored storedInstance
				readJSON(t, filepath.Join(dir, "instance.json"), &stored)
				s := configuredServer(t, dir)
				before := upgradedState(t, s, stored)
				after := refreshedState(t, s, stored, before)
				mustHaveSameSettings(t, before, after)
				mustHaveLedger(t, stored.Private, filepath.Join(dir, "deployments", "web", "ledger.json"))
				mustDeployNothing(t, s, stored.Private, before)
			})
		}
	}
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(content, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// configuredServer returns a provider whose state directory is a copy of dir. No agent
// runs there.
func configuredServer(t *testing.T, dir string) *server {
	t.Helper()
	// t.TempDir has a longer path than a Unix socket may have.
	stateDir, err := os.MkdirTemp("", "bgs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(stateDir); err != nil {
			t.Error(err)
		}
	})
	if err := os.CopyFS(stateDir, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	s := newServer("test")
	schemas, err := s.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	config := dynamicJSON(fmt.Sprintf(`{"local": {"state_dir": %q}, "docker": null, "kubernetes": null}`, stateDir))
	value, err := config.Unmarshal(schemas.Provider.ValueType())
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := tfprotov6.NewDynamicValue(schemas.Provider.ValueType(), value)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{Config: &encoded})
	if err != nil || len(resp.Diagnostics) > 0 {
		t.Fatal(err, formatted(resp.Diagnostics))
	}
	return s
}

func dynamicJSON(text string) *tfprotov6.DynamicValue {
	return &tfprotov6.DynamicValue{JSON: []byte(text)}
}

func upgradedState(t *testing.T, s *server, stored storedInstance) tftypes.Value {
	t.Helper()
	resp, err := s.UpgradeResourceState(t.Context(), &tfprotov6.UpgradeResourceStateRequest{
		TypeName: deploymentType,
		Version:  stored.SchemaVersion,
		RawState: &tfprotov6.RawState{JSON: stored.Attributes},
	})
	if err != nil || len(resp.Diagnostics) > 0 {
		t.Fatal(err, formatted(resp.Diagnostics))
	}
	return unmarshalState(t, s, resp.UpgradedState)
}

func hasError(diags []*tfprotov6.Diagnostic) bool {
	return slices.ContainsFunc(diags, func(d *tfprotov6.Diagnostic) bool {
		return d.Severity == tfprotov6.DiagnosticSeverityError
	})
}

func refreshedState(t *testing.T, s *server, stored storedInstance, state tftypes.Value) tftypes.Value {
	t.Helper()
	current, err := tfprotov6.NewDynamicValue(s.shortcut.facts().objectType, state)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{
		TypeName:        deploymentType,
		CurrentState:    &current,
		Private:         stored.Private,
		CurrentIdentity: &tfprotov6.ResourceIdentityData{IdentityData: dynamicJSON(string(stored.Identity))},
	})
	// No agent runs, of which the provider warns.
	if err != nil || hasError(resp.Diagnostics) {
		t.Fatal(err, formatted(resp.Diagnostics))
	}
	identityType := s.shortcut.facts().identityType
	want, err := dynamicJSON(string(stored.Identity)).Unmarshal(identityType)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := resp.NewIdentity.IdentityData.Unmarshal(identityType); err != nil || !got.Equal(want) {
		t.Errorf("the identity is %s, not %s: %v", got, want, err)
	}
	return unmarshalState(t, s, resp.NewState)
}

func unmarshalState(t *testing.T, s *server, state *tfprotov6.DynamicValue) tftypes.Value {
	t.Helper()
	value, err := state.Unmarshal(s.shortcut.facts().objectType)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// mustHaveSameSettings compares all attributes but those that tell which replicas run:
// none runs here.
func mustHaveSameSettings(t *testing.T, before, after tftypes.Value) {
	t.Helper()
	var want, got map[string]tftypes.Value
	if err := before.As(&want); err != nil {
		t.Fatal(err)
	}
	if err := after.As(&got); err != nil || got == nil {
		t.Fatalf("the state is %s: %v", after, err)
	}
	for name := range want {
		if name == "environments" || strings.HasPrefix(name, "rollback_") {
			continue
		}
		if !got[name].Equal(want[name]) {
			t.Errorf("%s is %s, not %s", name, got[name], want[name])
		}
	}
}

// mustHaveLedger compares the ledger in a private state with the one that the agent kept.
func mustHaveLedger(t *testing.T, private []byte, file string) {
	t.Helper()
	var keys privateKeys
	if err := json.Unmarshal(private, &keys); err != nil {
		t.Fatal(err)
	}
	ledger, diags := readLedger(t.Context(), keys)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	var kept struct {
		Ledger json.RawMessage `json:"ledger"`
	}
	readJSON(t, file, &kept)
	got, err := json.Marshal(ledger)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, kept.Ledger); err != nil {
		t.Fatal(err)
	}
	if string(got) != want.String() {
		t.Errorf("the ledger in the private state is %s, and the agent kept %s", got, &want)
	}
}

// mustDeployNothing fails the test unless a plan for the configuration that the state was
// made by leaves the releases alone, and one for another environment variable does not.
func mustDeployNothing(t *testing.T, s *server, private []byte, state tftypes.Value) {
	t.Helper()
	ctx := t.Context()
	_, m, keys, ok := s.shortcut.resource(ctx, state, private)
	if !ok {
		t.Fatal("the state cannot be read")
	}
	ledger, diags := readLedger(ctx, keys)
	settings, more := m.health(ctx)
	desired, evenMore := m.desired(ctx, settings)
	if diags = slices.Concat(diags, more, evenMore); len(diags) > 0 {
		t.Fatal(diags)
	}
	if steps, err := ledger.Next(desired, m.readyReplicas()); err != nil || len(steps) > 0 {
		t.Errorf("the plan for what is deployed is %v, %v", steps, err)
	}
	desired.Rollback = false
	desired.Release.Env = map[string]string{"LOG_LEVEL": "another"}
	want := []bluegreen.Step{bluegreen.StepDeployAndSwitch}
	if steps, err := ledger.Next(desired, m.readyReplicas()); err != nil || !slices.Equal(steps, want) {
		t.Errorf("the plan for another release is %v, %v", steps, err)
	}
}
