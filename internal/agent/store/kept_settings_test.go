// SPDX-License-Identifier: MPL-2.0

package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// The settings are those of the release that serves, and no header or command is among them.
func TestKeptSettingsHaveNoSecrets(t *testing.T) {
	t.Parallel()
	live := bluegreen.Release{Version: "2.0.0"}
	live.Fingerprint = live.Seal("").Fingerprint
	http := &health.HTTP{Path: "/healthz", Headers: map[string]string{"Token": "open-sesame"}}
	for name, test := range map[string]struct {
		state  bluegreen.State
		stored *Upkeep
		want   *Upkeep
	}{
		"http": {
			bluegreen.Live,
			&Upkeep{Fingerprint: live.Fingerprint, Health: health.Config{HTTP: http}, UnhealthyThreshold: 3},
			&Upkeep{
				Fingerprint: live.Fingerprint, Health: health.Config{HTTP: &health.HTTP{Path: "/healthz"}},
				UnhealthyThreshold: 3,
			},
		},
		"a command": {
			bluegreen.Live,
			&Upkeep{Fingerprint: live.Fingerprint, Health: health.Config{
				HTTP: http, Exec: &health.Exec{Command: []string{"check", "--token=open-sesame"}},
			}},
			nil,
		},
		"another release":   {bluegreen.Live, &Upkeep{Fingerprint: "another", Health: health.Config{HTTP: http}}, nil},
		"nothing serves":    {bluegreen.Ready, &Upkeep{Fingerprint: live.Fingerprint}, nil},
		"nothing is stored": {bluegreen.Live, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := Document{Ledger: bluegreen.NewLedger("web")}
			doc.Frontend.PreviewListen = "127.0.0.1:8081"
			doc.Ledger.Green = bluegreen.Slot{State: test.state, Release: &live}
			doc.Ledger.Live = bluegreen.Green
			file := &UpkeepFile{releases: map[string]Upkeep{}}
			if test.stored != nil {
				file.releases[test.stored.Fingerprint] = *test.stored
			}
			want := KeptSettings{Frontend: doc.Frontend.Frontend, Upkeep: test.want}
			if diff := cmp.Diff(want, NewKeptSettings(doc, file)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if http.Headers["Token"] == "" {
				t.Error("what is stored has lost its header")
			}
		})
	}
}
