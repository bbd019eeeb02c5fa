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
	h := openHarness(t, sharedCluster.client, Options{
		Namespace: "nowhere", Name: "web", PodSettings: PodSettings{Port: replicaPort},
	})
	_, err := h.Create(t.Context(), h.desired("1.0.0", 1))
	var option *OptionError
	isAboutNamespace := errors.As(err, &option) && option.Option == "namespace"
	if !isAboutNamespace || !strings.Contains(err.Error(), `no namespace "nowhere"`) {
		t.Errorf("got %v", err)
	}
}

// An import knows neither the port nor any other option.
func TestClusterImportKnowsNoPort(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	imported := openHarness(t, h.client, Options{Namespace: h.Namespace, Name: h.Deployment})
	status, err := imported.Status(t.Context())
	h.must(err)
	want, err := h.Status(t.Context())
	h.must(err)
	if status.Endpoint != want.Endpoint || status.Preview != want.Preview || status.Running[bluegreen.Green] != 1 {
		t.Errorf("an import finds %+v, want %+v", status, want)
	}
	h.must(imported.Destroy(t.Context()))
}
