// SPDX-License-Identifier: MPL-2.0

package store

import (
	"cmp"
	"net"
	"net/netip"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

// Frontend is where and how clients reach a deployment.
type Frontend struct {
	// Listen are the addresses of the live environment, host:port. None, or one
	// that is empty, is a free port on loopback, chosen at the first commit and
	// kept from then on.
	Listen []string `json:"listen,omitempty"`
	// PreviewListen is the one of the staging environment.
	PreviewListen string `json:"preview_listen,omitempty"`
	// Protocol is "http" unless given.
	Protocol protocol.Protocol `json:"protocol,omitempty"`
	// DrainTimeout is how long requests in flight on an environment that is no
	// longer live may take to finish.
	DrainTimeout time.Duration `json:"drain_timeout_ns"`
	// ResponseTimeout is how long a replica may take until the head of its answer; 0 sets no
	// limit. It is 0 in what an earlier version stored or sends.
	ResponseTimeout time.Duration `json:"response_timeout_ns,omitempty"`
	// MaxBody is how many bytes the body of a request may have; 0 sets no limit.
	MaxBody int64 `json:"max_body,omitempty"`
	// TrustedProxies are the proxies that are believed what they say about their clients.
	TrustedProxies []netip.Prefix `json:"trusted_proxies,omitempty"`
	// ProxyProtocol says that they tell the address of a client with the PROXY protocol.
	ProxyProtocol bool `json:"proxy_protocol,omitempty"`
	// AccessLog says where requests are logged; "" for nowhere.
	AccessLog AccessLog `json:"access_log,omitempty"`
	// MaxConnections is how many clients may be connected to live, and how many to the preview;
	// 0 sets no limit. More of them wait.
	MaxConnections int `json:"max_connections,omitempty"`
}

// HasOpenPort reports whether any port will do.
func HasOpenPort(listen string) bool {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen == ""
	}
	number, err := net.LookupPort("tcp", port)
	return err == nil && number == 0
}

// AccessLog is a place where requests are logged.
type AccessLog string

// The access logs.
const (
	// AccessLogFile is AccessLogName in the directory of the deployment. It is rotated.
	AccessLogFile AccessLog = "file"
	// AccessLogStdout is the standard output of the agent, which is the log of its container.
	AccessLogStdout AccessLog = "stdout"
)

// AccessLogName is the name of a deployment's access log.
const AccessLogName = "access.log"

// Binding is a Frontend with the addresses that the deployment got.
type Binding struct {
	Frontend
	Addresses      []string `json:"addresses,omitempty"`
	PreviewAddress string   `json:"preview_address,omitempty"`
}

// Address is the first address of the live environment, "" while there is none.
func (b Binding) Address() string {
	if len(b.Addresses) == 0 {
		return ""
	}
	return b.Addresses[0]
}

// Endpoint is the URL of the live environment, "" while there is none.
func (b Binding) Endpoint() string { return b.url(b.Address()) }

// PreviewEndpoint is the URL of the staging environment, "" while there is none.
func (b Binding) PreviewEndpoint() string { return b.url(b.PreviewAddress) }

// url is where clients on this machine reach what listens on address.
func (b Binding) url(address string) string {
	if address == "" {
		return ""
	}
	scheme := cmp.Or(b.Protocol, protocol.HTTP)
	if host, port, err := net.SplitHostPort(address); err == nil {
		if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
			address = net.JoinHostPort("127.0.0.1", port)
		}
	}
	return string(scheme) + "://" + address
}
