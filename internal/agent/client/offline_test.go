// SPDX-License-Identifier: MPL-2.0

//go:build unix

package client_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// takenAddress is where the deployment in a storedDeployment is reached.
const takenAddress = "127.0.0.1:23456"

// storedDeployment returns a state directory without an agent. It holds the
// deployment "web" with one archived record and a green environment of two replicas.
func storedDeployment(t *testing.T) string {
	t.Helper()
	dir := store.Dir(shortTempDir(t))
	deployment := dir.Deployment("web")
	ledger, err := store.OpenLedgerFile(deployment, "web")
	if err != nil {
		t.Fatal(err)
	}
	next := bluegreen.NewLedger("web")
	next.Generation, next.HistoryLimit = 1, 10
	closed := []bluegreen.Record{{
		ID: "deploy-1", Operation: bluegreen.OpDeploy, Environment: bluegreen.Green,
		Version: "1.0.0", Image: "web", Replicas: 2, Status: bluegreen.StatusFailed,
	}}
	binding := store.Binding{Addresses: []string{takenAddress}}
	if err := ledger.Commit(next, closed, binding); err != nil {
		t.Fatal(err)
	}
	workload := store.Workload{Version: "1.0.0", Argv: []string{"web"}, Replicas: 2}
	if err := workload.Write(store.EnvironmentDir(deployment, bluegreen.Green)); err != nil {
		t.Fatal(err)
	}
	return string(dir)
}

func newOffline(t *testing.T, dir string) *client.Offline {
	t.Helper()
	offline, err := client.NewOffline(dir)
	if err != nil {
		t.Fatal(err)
	}
	return offline
}

func TestDeploymentIsReadWithoutAnAgent(t *testing.T) {
	t.Parallel()
	offline := newOffline(t, storedDeployment(t))
	status, err := offline.Deployment("web")
	if err != nil || status.Ledger.Name != "web" || status.Ledger.Generation != 1 || status.Running != nil {
		t.Errorf("the deployment is %+v, %v", status, err)
	}
	if !strings.Contains(status.Endpoint, takenAddress) {
		t.Errorf("its endpoint is %q", status.Endpoint)
	}
	records, err := offline.History("web")
	if err != nil || len(records) != 1 || records[0].ID != "deploy-1" {
		t.Errorf("its history is %+v, %v", records, err)
	}
}

func TestStateDirectoryThatIsNotThereHasNoDeployment(t *testing.T) {
	t.Parallel()
	offline := newOffline(t, filepath.Join(shortTempDir(t), "none"))
	if _, err := offline.Deployment("web"); !errors.Is(err, bluegreen.ErrNotFound) {
		t.Errorf("the deployment: %v", err)
	}
	if _, err := offline.History("web"); !errors.Is(err, bluegreen.ErrNotFound) {
		t.Errorf("its history: %v", err)
	}
}

// What another user could have written is not believed.
func TestStateDirectoryThatOthersCanWriteIsNotRead(t *testing.T) {
	t.Parallel()
	dir := storedDeployment(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	offline := newOffline(t, dir)
	for what, err := range map[string]error{
		"deployment": errOf(offline.Deployment("web")),
		"history":    errOf(offline.History("web")),
		"logs":       errOf(offline.Logs("web", bluegreen.Green, "green-1", 1)),
	} {
		if err == nil || errors.Is(err, bluegreen.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestDamagedFilesAreReportedWithoutAnAgent(t *testing.T) {
	t.Parallel()
	dir := storedDeployment(t)
	deployment := store.Dir(dir).Deployment("web")
	environment := store.EnvironmentDir(deployment, bluegreen.Green)
	for _, in := range []string{deployment, environment} {
		files, err := filepath.Glob(filepath.Join(in, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("the files in %s are %q, %v", in, files, err)
		}
		for _, file := range files {
			if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	offline := newOffline(t, dir)
	for what, err := range map[string]error{
		"deployment": errOf(offline.Deployment("web")),
		"history":    errOf(offline.History("web")),
	} {
		var unreadable *client.UnreadableError
		if !errors.As(err, &unreadable) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestLogsOfNoInstanceOfTheEnvironmentAreRefused(t *testing.T) {
	t.Parallel()
	offline := newOffline(t, storedDeployment(t))
	for _, id := range []string{"blue-1", "green-0", "green-01", "green", "../green-1"} {
		if _, err := offline.Logs("web", bluegreen.Green, id, 1); err == nil {
			t.Errorf("logs of %q are read in green", id)
		}
	}
}

func TestAddressIsCheckedWithoutAnAgent(t *testing.T) {
	t.Parallel()
	dir := storedDeployment(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for name, test := range map[string]struct {
		deployment, address string
		holder              string
		isFree              bool
	}{
		"one's own":            {deployment: "web", address: takenAddress, isFree: true},
		"another deployment's": {deployment: "api", address: takenAddress, holder: "web"},
		"another program's":    {deployment: "api", address: listener.Addr().String()},
		"any port":             {deployment: "api", address: "127.0.0.1:0", isFree: true},
		"no address":           {deployment: "web", address: "here"},
		"no port":              {deployment: "web", address: "127.0.0.1:99999"},
	} {
		err := client.CheckListen(dir, test.deployment, test.address)
		var refused *client.AddressError
		switch {
		case test.isFree && err != nil:
			t.Errorf("%s: %v", name, err)
		case !test.isFree && !errors.As(err, &refused):
			t.Errorf("%s: %v, want an AddressError", name, err)
		case !test.isFree && (refused.Address != test.address || refused.Deployment != test.holder):
			t.Errorf("%s: refused is %+v", name, refused)
		}
	}
}

func TestStateDirectoryWithoutRoomForASocketIsRefused(t *testing.T) {
	t.Parallel()
	long := "/tmp/" + strings.Repeat("long", 30)
	if _, err := client.New(long); err == nil {
		t.Error("a client takes a path that is too long for a socket")
	}
	if _, err := client.NewOffline(long); err == nil {
		t.Error("an offline reader takes a path that is too long for a socket")
	}
	if err := client.CheckListen(long, "web", "127.0.0.1:0"); err == nil {
		t.Error("an address is checked in a path that is too long for a socket")
	}
}
