// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// A 404 that does not come from the API server does not mean that the deployment is gone.
func TestOnlyTheAPIServerSaysThatItIsGone(t *testing.T) {
	t.Parallel()
	status := func(resource, name string) string {
		return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,
			"message":"it was not found","details":{"kind":%[1]q,"name":%[2]q}}`, resource, name)
	}
	const nothing = `{"kind":"DeploymentList","apiVersion":"apps/v1","items":[]}`
	cases := map[string]struct {
		service, deployments string
		gone                 bool
	}{
		"the API server has none":         {status("services", "web"), nothing, true},
		"a page that is not there":        {"404 page not found", nothing, false},
		"a proxy that speaks JSON":        {`{"error":"no such backend"}`, nothing, false},
		"a proxy that has lost a cluster": {status("clusters", "web"), nothing, false},
		"an answer about another object":  {status("services", "other"), nothing, false},
		"the other request fails":         {status("services", "web"), "", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case strings.HasSuffix(r.URL.Path, "/services/web"):
					w.WriteHeader(http.StatusNotFound)
					_, _ = io.WriteString(w, c.service)
				case c.deployments == "":
					w.WriteHeader(http.StatusForbidden)
				default:
					_, _ = io.WriteString(w, c.deployments)
				}
			}))
			defer server.Close()
			_, err := platformAt(t, server).Observe(t.Context())
			if errors.Is(err, bluegreen.ErrNotFound) != c.gone || err == nil {
				t.Errorf("a refresh: %v, want that it is gone: %t", err, c.gone)
			}
		})
	}
}

// platformAt returns the deployment web on a server that takes the place of a cluster.
func platformAt(t *testing.T, server *httptest.Server) *Platform {
	t.Helper()
	client := NewClient(ClientConfig{Host: server.URL})
	t.Cleanup(client.Close)
	p, err := New(client, Options{Namespace: "default", Name: "web", PodSettings: PodSettings{Port: 80}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A wrong address of the cluster makes errors that are about neither the deployment nor
// the namespace.
func TestWrongAddressOfTheCluster(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	p := platformAt(t, server)
	_, err := p.Load(t.Context())
	if err == nil || errors.Is(err, bluegreen.ErrNotFound) || !strings.Contains(err.Error(), "Service default/web") {
		t.Errorf("loading: %v", err)
	}
	var option *OptionError
	if _, err := p.Lock(t.Context(), "tester"); err == nil || errors.As(err, &option) {
		t.Errorf("locking: %v, want an error that is not about the namespace", err)
	}
}
