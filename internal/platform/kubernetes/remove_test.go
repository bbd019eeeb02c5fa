// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// podOfNoDeployment is a list with a pod that nothing deletes.
const podOfNoDeployment = `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[
	{"metadata":{"name":"web-green-1a2b","uid":"u1","labels":{}},"status":{"phase":"Running"}}]}`

const noDeployments = `{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{"resourceVersion":"1"}}`

// A removal that ends before the pods of a Deployment are being deleted names them.
func TestRemovalThatIsCutShortNamesThePods(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Query().Get("watch") != "":
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case strings.HasSuffix(r.URL.Path, "/pods"):
			_, _ = io.WriteString(w, podOfNoDeployment)
		default:
			_, _ = io.WriteString(w, noDeployments)
		}
	}))
	defer server.Close()
	p := platformAt(t, server)
	api, err := p.client.API()
	if err != nil {
		t.Fatal(err)
	}
	session := cluster.NewSession(t.Context(), api, "default")
	defer session.Close()
	informers := informersFor(session, p.opts.managedWorkload(bluegreen.Green))
	err = session.Await(t.Context(), func() (bool, time.Duration, error) {
		_, pods, err := informers.current()
		return len(pods) == 1, 0, err
	})
	if err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	err = p.awaitNoPods(over, &lockedRun{Session: session}, informers)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "Deployment default/web-green is gone") ||
		!strings.Contains(err.Error(), "(web-green-1a2b): delete them") {
		t.Errorf("the error is %v", err)
	}
}
