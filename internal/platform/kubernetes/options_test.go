// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestClusterNamespaceThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := openHarness(t, sharedCluster.client, Options{
		Namespace: "nowhere", Name: "web", PodSettings: PodSettings{Port: replicaPort},
	})
	_, err := s.Create(t.Context(), s.desired("1.0.0", 1))
	var option *OptionError
	isAboutNamespace := errors.As(err, &option) && option.Option == "namespace"
	if !isAboutNamespace || !strings.Contains(err.Error(), `no namespace "nowhere"`) {
		t.Errorf("got %v", err)
	}
}

// An import knows neither the port nor any other option.
func TestClusterImportKnowsNoPort(t *testing.T) {
	t.Parallel()
	s := newHarness(t)
	s.makeLive("1.0.0", 1)
	imported := openHarness(t, s.client, Options{Namespace: s.Namespace, Name: s.Deployment})
	status, err := imported.Status(t.Context())
	s.must(err)
	want, err := s.Status(t.Context())
	s.must(err)
	if status.Endpoint != want.Endpoint || status.Preview != want.Preview || status.Running[bluegreen.Green] != 1 {
		t.Errorf("an import finds %+v, want %+v", status, want)
	}
	s.must(imported.Destroy(t.Context()))
}
