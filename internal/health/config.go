// SPDX-License-Identifier: MPL-2.0

package health

import (
	"fmt"
	"time"
)

// What a setting that is left out means.
const (
	DefaultInterval         = time.Second
	DefaultProbeTimeout     = 5 * time.Second
	DefaultHealthyThreshold = 1
	DefaultHTTPPath         = "/"
	DefaultHTTPScheme       = "http"
	DefaultHTTPHost         = "localhost"
	DefaultHTTPStatusCodes  = "200-299"
)

// Config says what makes an instance healthy: every check that is set must
// pass. With none set, HTTP with its defaults is. A zero value anywhere means
// the default.
type Config struct {
	HTTP *HTTP
	TCP  *TCP
	GRPC *GRPC
	Exec *Exec

	// Interval is the longest time between the end of a probe and the next.
	Interval time.Duration
	// ProbeTimeout is how long one probe may take.
	ProbeTimeout time.Duration
	// HealthyThreshold is how often in a row every check must pass.
	HealthyThreshold int
}

// HTTP is a check that sends a GET and looks at the status of the answer.
type HTTP struct {
	// Path begins with "/" and may have a query.
	Path string
	// Scheme is "http" or "https". The certificate is not verified.
	Scheme string
	// Port is the one that the instance serves, unless set; see PortDialer.
	Port int
	// Host is the Host header, and with https the name asked for in the handshake.
	Host string
	// Headers are sent with the request. Their values may be secrets: no cause
	// or error of this package holds one.
	Headers map[string]string
	// StatusCodes are the accepted ones; see ParseStatusCodes.
	StatusCodes string
}

// TCP is a check that passes when the instance accepts a connection.
type TCP struct {
	// Port is the one that the instance serves, unless set; see PortDialer.
	Port int
}

// GRPC is a check that asks the instance by the gRPC health protocol,
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md.
type GRPC struct {
	// Port is the one that the instance serves, unless set; see PortDialer.
	Port int
	// Service is what is asked for; "" is the server as a whole.
	Service string
	// TLS encrypts the connection. The certificate is not verified.
	TLS bool
}

// Exec is a check that runs a command beside the instance and passes when it
// exits with 0.
type Exec struct {
	Command []string
}

// ConfigError is a setting that New refuses.
type ConfigError struct {
	// Setting is its name in a health_check block: "interval", "http.path".
	Setting string
	// Problem says what is wrong with it.
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
	case checker.interval < 0:
		return nil, configError("interval", "%s is negative", checker.interval)
	case checker.timeout < 0:
		return nil, configError("probe_timeout", "%s is negative", checker.timeout)
	case checker.threshold < 0:
		return nil, configError("healthy_threshold", "%d is negative", checker.threshold)
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

// kind is a configured check; check returns it ready to run, or a *ConfigError.
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
	if len(kinds) == 0 {
		kinds = append(kinds, &HTTP{})
	}
	return kinds
}

func checkPort(setting string, port int) error {
	if port < 0 || port > 65535 {
		return configError(setting, "%d is no port: it is 1 to 65535", port)
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
