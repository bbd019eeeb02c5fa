// SPDX-License-Identifier: MPL-2.0

package health_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

func TestABadSettingIsNamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config  health.Config
		setting string
		problem string
	}{
		"interval":         {health.Config{Interval: -time.Second}, "interval", "-1s is negative"},
		"probe timeout":    {health.Config{ProbeTimeout: -1}, "probe_timeout", "-1ns is negative"},
		"threshold":        {health.Config{HealthyThreshold: -1}, "healthy_threshold", "-1 is negative"},
		"relative path":    {health.Config{HTTP: &health.HTTP{Path: "healthz?" + secret}}, "http.path", `must begin with "/"`},
		"fragment":         {health.Config{HTTP: &health.HTTP{Path: "/#top"}}, "http.path", `no "#"`},
		"bad escape":       {health.Config{HTTP: &health.HTTP{Path: "/%zz"}}, "http.path", "percent-encoded"},
		"scheme":           {health.Config{HTTP: &health.HTTP{Scheme: "ftp"}}, "http.scheme", `"ftp" is neither`},
		"host with path":   {health.Config{HTTP: &health.HTTP{Host: "a/b"}}, "http.host", `"a/b" is no host name`},
		"host with user":   {health.Config{HTTP: &health.HTTP{Host: "a@b"}}, "http.host", `"a@b" is no host name`},
		"host is a port":   {health.Config{HTTP: &health.HTTP{Host: ":80"}}, "http.host", `":80" is no host name`},
		"http port":        {health.Config{HTTP: &health.HTTP{Port: 65536}}, "http.port", "65536 is no port"},
		"tcp port":         {health.Config{TCP: &health.TCP{Port: -1}}, "tcp.port", "-1 is no port"},
		"grpc port":        {health.Config{GRPC: &health.GRPC{Port: 70000}}, "grpc.port", "70000 is no port"},
		"status codes":     {health.Config{HTTP: &health.HTTP{StatusCodes: "2xx"}}, "http.status_codes", `"2xx" is no status code`},
		"header name":      {health.Config{HTTP: &health.HTTP{Headers: map[string]string{"a b": secret}}}, "http.headers", `"a b" is no header name`},
		"header value":     {health.Config{HTTP: &health.HTTP{Headers: map[string]string{"A": secret + "\n"}}}, "http.headers", "the value of A"},
		"header host":      {health.Config{HTTP: &health.HTTP{Headers: map[string]string{"host": "a"}}}, "http.headers", "setting of its own"},
		"header of length": {health.Config{HTTP: &health.HTTP{Headers: map[string]string{"content-length": "1"}}}, "http.headers", "Content-Length belongs"},
		"no command":       {health.Config{Exec: &health.Exec{}}, "exec.command", "is empty"},
		"empty command":    {health.Config{Exec: &health.Exec{Command: []string{"", secret}}}, "exec.command", "is empty"},
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

func TestStatusCodes(t *testing.T) {
	t.Parallel()
	for list, in := range map[string][]int{
		"200":             {200},
		"200-299":         {200, 250, 299},
		" 200-204 , 404 ": {200, 204, 404},
		"200,200-201,599": {200, 201, 599},
	} {
		codes, err := health.ParseStatusCodes(list)
		if err != nil {
			t.Errorf("%q: %v", list, err)
		}
		for _, code := range in {
			if !codes.Contains(code) {
				t.Errorf("%q does not contain %d", list, code)
			}
		}
		for _, code := range []int{0, 101, 199, 300, 403, 405, 598} {
			if codes.Contains(code) {
				t.Errorf("%q contains %d", list, code)
			}
		}
	}
}

func TestWhatIsNoListOfStatusCodesIsSaid(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"":             `"" is no status code`,
		"ok":           `"ok" is no status code`,
		"200,":         `"" is no status code`,
		"100":          `"100" is no status code`,
		"600":          `"600" is no status code`,
		"0200":         `"0200" is no status code`,
		"+20":          `"+20" is no status code`,
		"200-":         `"200-" is no status code`,
		"200-299-300":  `"200-299-300" is no status code`,
		"200, 299-200": `the range "299-200" ends before it begins`,
	} {
		if _, err := health.ParseStatusCodes(list); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", list, err, want)
		}
	}
}
