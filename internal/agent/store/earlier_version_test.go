// SPDX-License-Identifier: MPL-2.0

package store

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

const earlierVersion = "testdata/0.1.0-dev"

// sameJSON fails the test unless value is encoded with the keys and values of the file.
func sameJSON(t *testing.T, path string, value any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := json.Unmarshal(content, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s would be written as %s", path, encoded)
	}
}

// The files under testdata/0.1.0-dev were written by that version. A version that changes what is
// written adds a directory of its own; the old ones stay.
func TestLedgerOfAnEarlierVersionIsReadAndWrittenAsItWas(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		live, standby, target, rolledBack string
		records, closed                   []string
	}{
		"live": {"4.0.0", "3.0.0", "deploy-4", "", []string{"deploy-4", "deploy-5"},
			[]string{"deploy-1", "deploy-3", "deploy-2"}},
		"rollback": {"3.0.0", "4.0.0", "", "41994eaf5efdaeadbb232185c97ad34ce7d929de610a61409a7a48222affc820",
			[]string{"deploy-5", "rollback-6"}, []string{"deploy-1", "deploy-3", "deploy-2", "deploy-4"}},
	} {
		dir := filepath.Join(earlierVersion, name, "web")
		doc, err := ReadDocument(dir, "web")
		if err != nil {
			t.Fatal(err)
		}
		history, err := ReadHistory(dir, "web")
		if err != nil {
			t.Fatal(err)
		}
		l := doc.Ledger
		target, ok := l.RollbackTarget()
		live, standby := l.Slot(l.Live).Release, l.Slot(l.Staging()).Release
		if !l.IsServing() || live.Version != want.live || standby.Version != want.standby {
			t.Errorf("%s: %s is live next to %s", name, live.Version, standby.Version)
		}
		if ok != (want.target != "") || ok && target.ID != want.target {
			t.Errorf("%s: a rollback returns to %q, %t", name, target.ID, ok)
		}
		if got := l.RolledBackFingerprint(); got != want.rolledBack {
			t.Errorf("%s: rolled back is %q", name, got)
		}
		if got := ids(l.Records); !reflect.DeepEqual(got, want.records) {
			t.Errorf("%s: the records are %v", name, got)
		}
		if got := ids(history); !reflect.DeepEqual(got, want.closed) {
			t.Errorf("%s: the closed records are %v", name, got)
		}
		sameJSON(t, filepath.Join(dir, documentName), doc)
		for _, env := range bluegreen.Environments() {
			w, err := ReadWorkload(EnvironmentDir(dir, env))
			if err != nil || w == nil {
				t.Fatalf("%s: %v, %v", name, w, err)
			}
			if w.Fingerprint != l.Slot(env).Release.Fingerprint {
				t.Errorf("%s: %s runs %s", name, env, w.Fingerprint)
			}
			sameJSON(t, filepath.Join(EnvironmentDir(dir, env), workloadName), w)
		}
	}
}

func ids(records []bluegreen.Record) (list []string) {
	for _, r := range records {
		list = append(list, r.ID)
	}
	return list
}

func TestTargetsOfAnEarlierVersionAreReadAndWrittenAsTheyWere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(earlierVersion, "external")
	e, err := ReadExternalReplicas(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Replicas) != 1 || len(e.ContainerSpec) == 0 {
		t.Errorf("read are %+v", e)
	}
	sameJSON(t, filepath.Join(dir, externalName), e)
}
