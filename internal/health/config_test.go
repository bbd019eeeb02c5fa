// SPDX-License-Identifier: MPL-2.0

package health_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

func httpCheck(check health.HTTP) health.Config { return health.Config{HTTP: &check} }

func headers(headers map[string]string) health.Config {
	return httpCheck(health.HTTP{Headers: headers})
}

func TestErrorNamesTheBadSetting(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config  health.Config
		setting string
		problem string
	}{
		"interval":       {health.Config{Interval: -time.Second}, "interval", "-1s is negative"},
		"probe timeout":  {health.Config{ProbeTimeout: -1}, "probe_timeout", "-1ns is negative"},
		"threshold":      {health.Config{HealthyThreshold: -1}, "healthy_threshold", "-1 is negative"},
		"relative path":  {httpCheck(health.HTTP{Path: "healthz?" + secret}), "http.path", `must begin with "/"`},
		"fragment":       {httpCheck(health.HTTP{Path: "/#top"}), "http.path", `no "#"`},
		"bad escape":     {httpCheck(health.HTTP{Path: "/%zz"}), "http.path", "percent-encoded"},
		"scheme":         {httpCheck(health.HTTP{Scheme: "ftp"}), "http.scheme", `"ftp" is neither`},
		"host with path": {httpCheck(health.HTTP{Host: "a/b"}), "http.host", `"a/b" is not a host name`},
		"host with user": {httpCheck(health.HTTP{Host: "a@b"}), "http.host", `"a@b" is not a host name`},
		"host is a port": {httpCheck(health.HTTP{Host: ":80"}), "http.host", `":80" is not a host name`},
		"http port":      {httpCheck(health.HTTP{Port: 65536}), "http.port", "65536 is not a port"},
		"tcp port":       {health.Config{TCP: &health.TCP{Port: -1}}, "tcp.port", "-1 is not a port"},
		"grpc port":      {health.Config{GRPC: &health.GRPC{Port: 70000}}, "grpc.port", "70000 is not a port"},
		"status codes":   {httpCheck(health.HTTP{StatusCodes: "2xx"}), "http.status_codes", `"2xx" is neither`},
		"header name":    {headers(map[string]string{"a b": secret}), "http.headers", `"a b" is not a header name`},
		"header value":   {headers(map[string]string{"A": secret + "\n"}), "http.headers", "the value of A"},
		"header host":    {headers(map[string]string{"host": "a"}), "http.headers", "setting of its own"},
		"header of length": {
			headers(map[string]string{"content-length": "1"}), "http.headers", "Content-Length cannot be set",
		},
		"no command": {health.Config{Exec: &health.Exec{}}, "exec.command", "is empty"},
		"empty command": {
			health.Config{Exec: &health.Exec{Command: []string{"", secret}}}, "exec.command", "is empty",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := health.New(test.config)
			refused, ok := errors.AsType[*health.ConfigError](err)
			if !ok || refused.Setting != test.setting || !strings.Contains(refused.Problem, test.problem) {
				t.Fatalf("error %v, want one on %s with %q", err, test.setting, test.problem)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds a secret: %v", err)
			}
		})
	}
}

func TestTheHighestPortIsAPort(t *testing.T) {
	t.Parallel()
	newChecker(t, everyKind(65535))
}

func TestShortestPassIsTheTimeThatAwaitTakes(t *testing.T) {
	for _, c := range []struct {
		threshold int
		interval  time.Duration
	}{{1, time.Second}, {2, time.Second}, {3, 5 * time.Millisecond}, {40, 2 * time.Second}, {0, 0}} {
		synctest.Test(t, func(t *testing.T) {
			config := health.Config{TCP: &health.TCP{}, HealthyThreshold: c.threshold, Interval: c.interval}
			checker, err := health.New(config)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if verdict := checker.Await(t.Context(), acceptingTarget{}); !verdict.IsHealthy() {
				t.Errorf("the verdict is %v", verdict)
			}
			if took, want := time.Since(began), config.ShortestPass(); took != want {
				t.Errorf("%+v took %s, want %s", c, took, want)
			}
		})
	}
}

// acceptingTarget accepts every connection.
type acceptingTarget struct{ bluegreen.Target }

func (acceptingTarget) Dial(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	return near, far.Close()
}
