// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The longest history costs the resource nothing: its state and what it keeps beside it stay
// as small as they were. The data source lists all of it.
func TestLongestHistory(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	config := h.config(attributes{"history_limit": "10000"})
	tf.apply(config)
	before, started := tf.stateSize(), time.Now()
	mustContain(t, tf.must("plan"), "No changes")
	t.Logf("a plan with one record took %s", time.Since(started).Round(time.Millisecond))

	h.killAgent()
	h.fillHistory(longestHistory)
	h.startAgent()
	started = time.Now()
	mustContain(t, tf.must("plan"), "No changes")
	t.Logf("a plan with %d records took %s", longestHistory, time.Since(started).Round(time.Millisecond))
	tf.must("apply", "-refresh-only", "-auto-approve")
	const digits = 50 // A generation has more digits than before.
	if after := tf.stateSize(); after > before+digits {
		t.Errorf("the state had %d bytes with one record, and has %d with %d", before, after, longestHistory)
	}

	tf.write(config + fmt.Sprintf(`
data "bluegreen_deployment" "web" {
  name = %q
  %s
}
output "records" { value = length(data.bluegreen_deployment.web.history) }
`, h.name, h.dataBlock()))
	started = time.Now()
	mustContain(t, tf.must("plan"), fmt.Sprintf("records = %d", longestHistory))
	t.Logf("a plan that reads all of them took %s", time.Since(started).Round(time.Millisecond))
	tf.write(config)
}

// stateSize returns the size of the resource in the state, in bytes, its private state included.
func (c *cli) stateSize() int {
	c.h.t.Helper()
	content, err := os.ReadFile(filepath.Join(c.dir, "terraform.tfstate"))
	var state struct{ Resources json.RawMessage }
	if err == nil {
		err = json.Unmarshal(content, &state)
	}
	if err != nil {
		c.h.t.Fatal(err)
	}
	return len(state.Resources)
}

// fillHistory archives records of releases that failed, so that there are as many records as
// that. The agent must not run.
func (h localHarness) fillHistory(records int) {
	h.t.Helper()
	file, err := store.OpenLedgerFile(filepath.Join(h.stateDir, "deployments", h.name), h.name)
	if err != nil {
		h.t.Fatal(err)
	}
	document := file.Current()
	next := document.Ledger
	next.Generation++
	var closed []bluegreen.Record
	for i := range records - len(next.Records) {
		record := next.Records[0]
		record.ID, record.Version = fmt.Sprintf("deploy-%d", -i), fmt.Sprintf("0.0.%d", i)
		record.Status, record.Reason = bluegreen.StatusFailed, "the release is not healthy"
		closed = append(closed, record)
	}
	if err := file.Commit(next, closed, document.Frontend); err != nil {
		h.t.Fatal(err)
	}
}
