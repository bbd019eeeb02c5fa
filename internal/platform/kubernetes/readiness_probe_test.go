// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

func TestReadinessProbeIsTheHealthCheck(t *testing.T) {
	t.Parallel()
	const times = `"timeoutSeconds":5,"periodSeconds":1,"successThreshold":1,"failureThreshold":5}`
	const host = `"httpHeaders":[{"name":"Host","value":"localhost"}]},`
	for name, c := range map[string]struct {
		checks *health.Config
		want   string
	}{
		"none": {nil, `{"tcpSocket":{"port":8080},` + strings.Replace(times, "5}", "3}", 1)},
		"the default": {
			&health.Config{}, `{"httpGet":{"path":"/","port":8080,"scheme":"HTTP",` + host + times,
		},
		"http": {
			&health.Config{
				HTTP: &health.HTTP{
					Path: "/ready", Scheme: "https", Port: 9000, Host: "example.com",
					Headers: map[string]string{"X-Key": "k"}, StatusCodes: "200,302",
				},
				TCP: &health.TCP{}, Interval: 1500 * time.Millisecond, ProbeTimeout: 2 * time.Second,
				HealthyThreshold: 4,
			},
			`{"httpGet":{"path":"/ready","port":9000,"scheme":"HTTPS","httpHeaders":[` +
				`{"name":"Host","value":"example.com"},{"name":"X-Key","value":"k"}]},` +
				`"timeoutSeconds":2,"periodSeconds":2,"successThreshold":4,"failureThreshold":5}`,
		},
		"http that accepts an error": {
			&health.Config{HTTP: &health.HTTP{StatusCodes: "200,404"}}, `{"tcpSocket":{"port":8080},` + times,
		},
		"tcp": {&health.Config{TCP: &health.TCP{Port: 9000}}, `{"tcpSocket":{"port":9000},` + times},
		"grpc": {
			&health.Config{GRPC: &health.GRPC{Service: "web"}}, `{"grpc":{"port":8080,"service":"web"},` + times,
		},
		"grpc over TLS": {&health.Config{GRPC: &health.GRPC{TLS: true}}, `{"tcpSocket":{"port":8080},` + times},
		"exec": {
			&health.Config{Exec: &health.Exec{Command: []string{"/ready", "-q"}}},
			`{"exec":{"command":["/ready","-q"]},` + times,
		},
	} {
		options := Options{
			Name: "web", PodSettings: PodSettings{Port: 8080}, HealthCheck: c.checks, UnhealthyThreshold: 5,
		}
		got, err := json.Marshal(options.readinessProbe())
		if err != nil || string(got) != c.want {
			t.Errorf("%s:\ngot  %s, %v\nwant %s", name, got, err, c.want)
		}
	}
}

// Another health check makes no other release.
func TestHealthCheckIsNoPartOfARelease(t *testing.T) {
	t.Parallel()
	settings := PodSettings{Port: 8080}
	release := bluegreen.Release{Version: "1", Image: "web:1", Settings: settings}
	options := Options{Namespace: "default", Name: "web", PodSettings: settings}
	before := release.Seal("").Fingerprint
	options.HealthCheck = &health.Config{TCP: &health.TCP{}}
	if _, err := options.deployment(bluegreen.Blue, release); err != nil {
		t.Fatal(err)
	}
	if release.Seal("").Fingerprint != before {
		t.Error("the release is another one")
	}
}
