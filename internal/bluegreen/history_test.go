// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"reflect"
	"strings"
	"testing"
)

func TestHistoryIsNewestFirstAndLimited(t *testing.T) {
	l := liveWithStandby(t)
	l.Sequence = 9
	archived := []Record{{ID: "deploy-4"}, {ID: "rollback-7"}, {ID: "deploy-3"}, {ID: "deploy-5"}}
	for limit, want := range map[int]string{
		0: "deploy-2 deploy-1",
		2: "deploy-2 deploy-1",
		3: "rollback-7 deploy-2 deploy-1",
		5: "rollback-7 deploy-5 deploy-4 deploy-2 deploy-1",
		9: "rollback-7 deploy-5 deploy-4 deploy-3 deploy-2 deploy-1",
	} {
		l.HistoryLimit = limit
		var ids []string
		for _, r := range l.MergeHistory(archived) {
			ids = append(ids, r.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("with a limit of %d: %s, want %s", limit, got, want)
		}
	}
	if archived[0].ID != "deploy-4" {
		t.Error("the archive was sorted in place")
	}
}

// The archive keeps why a release failed, and nothing that grows with its replicas.
func TestArchiveKeepsCausesAndNoInstances(t *testing.T) {
	record := Record{ID: "deploy-1", Health: &HealthResult{
		ChecksPassed: 1, ChecksFailed: 1,
		Details:   map[string]bool{"green-1 http": true, "green-2 http": false},
		Causes:    map[string]string{"green-2 http": "GET /: 503"},
		Instances: []InstanceRef{{"green-1", "a"}},
	}}
	_, closed := Ledger{Records: []Record{record}}.archive()
	want := HealthResult{
		ChecksPassed: 1, ChecksFailed: 1,
		Details: map[string]bool{"green-2 http": false}, Causes: map[string]string{"green-2 http": "GET /: 503"},
	}
	if len(closed) != 1 || !reflect.DeepEqual(*closed[0].Health, want) {
		t.Errorf("the archive has %+v", closed)
	}
	if len(record.Health.Instances) != 1 {
		t.Error("the record itself has changed")
	}
}
