// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"encoding/json"
	"maps"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The files under testdata/0.1.0-dev were written by that version. A version that changes what is
// written adds a directory of its own; the old ones stay.
func TestAnnotationsOfAnEarlierVersionAreReadAndWrittenAsTheyWere(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("testdata/0.1.0-dev/annotations.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	if err := json.Unmarshal(content, &want); err != nil {
		t.Fatal(err)
	}
	d, err := readDocument(&corev1.Service{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "web", Annotations: want,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !d.ledger.IsServing() || d.ledger.Live != bluegreen.Blue || len(d.history) != 1 || d.adopted == nil ||
		!d.trafficLeft[bluegreen.Green].Equal(noon) {
		t.Errorf("read is %+v", d)
	}
	got, err := d.annotations()
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("written is %v, %v", got, err)
	}
}

// The fingerprint is that of version 0.1.0-dev. With another one every deployment would be deployed again.
func TestFingerprintIsThatOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	release := bluegreen.Release{
		Version: "1.2.0", Image: "registry.example/web:1.2.0", Replicas: 2, Command: []string{"/web"},
		Args: []string{"-v"}, Env: map[string]string{"LEVEL": "info"},
		Settings: PodSettings{Port: 8080, PodTemplate: `{"spec": {"nodeSelector": {"disk": "ssd"}}}`},
	}
	const want = "7b3927c90043415871162f84b148cc0132b4a0c399a009e39e431b13dfaa7455"
	if got := release.Seal("").Fingerprint; got != want {
		t.Errorf("it is %s", got)
	}
}
