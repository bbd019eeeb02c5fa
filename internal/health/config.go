// SPDX-License-Identifier: MPL-2.0

package health

import (
	"fmt"
	"time"
)

// Defaults of the settings.
const (
	DefaultInterval         = time.Second
	DefaultProbeTimeout     = 5 * time.Second
	DefaultHealthyThreshold = 1
	DefaultHTTPPath         = "/"
	DefaultHTTPScheme       = "http"
	DefaultHTTPHost         = "localhost"
	DefaultHTTPStatusCodes  = "200-299"
)

// Config configures the checks. An instance is healthy when every check that is
// set passes. Without any, HTTP with its defaults is used. A zero value anywhere
// means the default.
//
// A Config is sent to the agent and stored there, so its JSON names stay.
type Config struct {
	HTTP *HTTP `json:"http,omitempty"`
	TCP  *TCP  `json:"tcp,omitempty"`
	GRPC *GRPC `json:"grpc,omitempty"`
	Exec *Exec `json:"exec,omitempty"`
	// Ready needs a platform that judges instances itself.
	Ready *Ready `json:"ready,omitempty"`

	// Interval is the longest time between the end of one probe and the start of
	// the next.
	Interval time.Duration `json:"interval_ns,omitempty"`
	// ProbeTimeout is how long one probe may take.
	ProbeTimeout time.Duration `json:"probe_timeout_ns,omitempty"`
	// HealthyThreshold is how often in a row every check must pass.
	HealthyThreshold int `json:"healthy_threshold,omitempty"`
}

// HTTP is a check that sends a GET request and looks at the status of the answer.
type HTTP struct {
	// Path begins with "/" and may have a query.
	Path string `json:"path,omitempty"`
	// Scheme is "http" or "https". The certificate is not verified.
	Scheme string `json:"scheme,omitempty"`
	// Port is by default the one that the instance serves. Another one needs a
	// PortDialer.
	Port int `json:"port,omitempty"`
	// Host is the Host header, and with https the server name of the handshake.
	Host string `json:"host,omitempty"`
	// Headers are sent with the request. Their values may be secrets: no cause or
	// error of this package contains one.
	Headers map[string]string `json:"headers,omitempty"`
	// StatusCodes lists the accepted codes; for example "200-299,404".
	StatusCodes string `json:"status_codes,omitempty"`
}

// TCP is a check that passes when the instance accepts a connection.
type TCP struct {
	// Port is by default the one that the instance serves. Another one needs a
	// PortDialer.
	Port int `json:"port,omitempty"`
}

// GRPC is a check that uses the gRPC health protocol,
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md.
type GRPC struct {
	// Port is by default the one that the instance serves. Another one needs a
	// PortDialer.
	Port int `json:"port,omitempty"`
	// Service is the name of the service to check; "" is the server as a whole.
	Service string `json:"service,omitempty"`
	// TLS encrypts the connection. The certificate is not verified.
	TLS bool `json:"tls,omitempty"`
}

// Exec is a check that runs a command where the instance runs. It passes when the command
// exits with 0.
type Exec struct {
	Command []string `json:"command,omitempty"`
}

// Ready is a check that passes when the platform holds the instance ready. It sends nothing to the
// instance.
type Ready struct{}

// ConfigError means that New refuses a setting.
type ConfigError struct {
	// Setting is its name in a health_check block: "interval", "http.path".
	Setting string
	// Problem describes what is wrong with it.
	Problem string
}

func (e *ConfigError) Error() string { return e.Setting + ": " + e.Problem }

func configError(setting, format string, values ...any) error {
	return &ConfigError{Setting: setting, Problem: fmt.Sprintf(format, values...)}
}

// New returns a Checker for config, or a *ConfigError.
func New(config Config) (*Checker, error) {
	checker := &Checker{
		interval:  orDefault(config.Interval, DefaultInterval),
		timeout:   orDefault(config.ProbeTimeout, DefaultProbeTimeout),
		threshold: orDefault(config.HealthyThreshold, DefaultHealthyThreshold),
	}
	switch {
	case config.Interval < 0:
		return nil, configError("interval", "%s is negative", config.Interval)
	case config.ProbeTimeout < 0:
		return nil, configError("probe_timeout", "%s is negative", config.ProbeTimeout)
	case config.HealthyThreshold < 0:
		return nil, configError("healthy_threshold", "%d is negative", config.HealthyThreshold)
	}
	for _, kind := range config.kinds() {
		check, err := kind.check()
		if err != nil {
			return nil, err
		}
		checker.checks = append(checker.checks, check)
	}
	return checker, nil
}

// kind is a configured check. Its method check validates it, with a *ConfigError,
// and makes it ready to run.
type kind interface{ check() (check, error) }

func (c Config) kinds() []kind {
	var kinds []kind
	if c.HTTP != nil {
		kinds = append(kinds, c.HTTP)
	}
	if c.TCP != nil {
		kinds = append(kinds, c.TCP)
	}
	if c.GRPC != nil {
		kinds = append(kinds, c.GRPC)
	}
	if c.Exec != nil {
		kinds = append(kinds, c.Exec)
	}
	if c.Ready != nil {
		kinds = append(kinds, c.Ready)
	}
	if len(kinds) == 0 {
		kinds = append(kinds, &HTTP{})
	}
	return kinds
}

func checkPort(setting string, port int) error {
	if port < 0 || port > 65535 {
		return configError(setting, "%d is not a port: it must be 1 to 65535", port)
	}
	return nil
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
