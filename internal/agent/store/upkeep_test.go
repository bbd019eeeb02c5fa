// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Whether the engine is used is a setting of the deployment: the release of the standby
// follows the last commit too.
func TestWatchedEngineIsTheSameForAllReleases(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, err := store.OpenUpkeepFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	ledger := bluegreen.NewLedger("web")
	one, two := bluegreen.Release{Version: "1"}.Seal(""), bluegreen.Release{Version: "2"}.Seal("")
	ledger.Green.Release, ledger.Blue.Release = &one, &two
	for _, c := range []struct {
		fingerprint string
		watches     bool
	}{{one.Fingerprint, true}, {two.Fingerprint, true}, {two.Fingerprint, false}} {
		u := store.Upkeep{Fingerprint: c.fingerprint, UnhealthyThreshold: 3, WatchesEngine: c.watches}
		if err := file.Commit(&u, ledger); err != nil {
			t.Fatal(err)
		}
		if file, err = store.OpenUpkeepFile(dir); err != nil || file.WatchesEngine() != c.watches {
			t.Errorf("after the commit of %t it is %t, %v", c.watches, file.WatchesEngine(), err)
		}
	}
	if _, found := file.Find(one.Fingerprint); !found {
		t.Error("the upkeep of the standby is gone")
	}
}
