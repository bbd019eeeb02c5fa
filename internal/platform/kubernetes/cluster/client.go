// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/klog/v2"
)

// FieldManager owns the fields that this program sets in a server-side apply. It is
// the prefix of its labels and annotations, and its user agent.
const FieldManager = "terraform-provider-bluegreen"

// client-go allows 5 requests a second, in bursts of 10, which slows down a plan of
// a few deployments. The API server protects itself with priority and fairness.
const (
	requestsPerSecond = 100
	requestBurst      = 200
)

// Client is the connection to a cluster, which the deployments on it share. It connects
// when one of them first needs it.
type Client struct {
	open func() (*API, error)
}

// NewClient returns a client for config. It reads no file and connects to nothing.
func NewClient(config Config) *Client {
	return &Client{open: sync.OnceValues(func() (*API, error) { return newAPI(config) })}
}

// API returns the cluster's API. The first call reads the kubeconfig. No call connects.
func (c *Client) API() (*API, error) { return c.open() }

// Close closes the connections that no request uses.
func (c *Client) Close() {
	// A client that could not be opened has no connections.
	if api, err := c.open(); err == nil {
		utilnet.CloseIdleConnectionsFor(api.http.Transport)
	}
}

// API is the part of the cluster's API that a deployment needs.
type API struct {
	resources
	clock clock
	// localTime is the clock of this machine.
	localTime func() time.Time
	// streams is the configuration of port-forward and exec, which use connections of
	// their own.
	streams *rest.Config
	http    *http.Client
}

// Now returns the time by the cluster's clock, to the second. The clocks of two machines
// may differ, so the times that they write and compare are those of the cluster.
func (a *API) Now() time.Time { return a.clock.now() }

// discardClientLogs keeps client-go from writing to standard error. What it writes there
// it also returns as an error. The logger belongs to the whole process. It is set once,
// before any code of client-go can read it.
var discardClientLogs = sync.OnceFunc(func() { klog.SetSlogLogger(slog.New(slog.DiscardHandler)) })

func newAPI(settings Config) (*API, error) {
	discardClientLogs()
	config, err := settings.load()
	if err != nil {
		return nil, err
	}
	config.UserAgent = FieldManager
	config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(requestsPerSecond, requestBurst)
	config.WarningHandlerWithContext = rest.NoWarnings{}
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	a := &API{streams: rest.CopyConfig(config), localTime: time.Now}
	if settings.LocalTime != nil {
		a.localTime = settings.LocalTime
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &transport{next: next, host: config.Host, clock: &a.clock}
	})
	if settings.WrapTransport != nil {
		config.Wrap(settings.WrapTransport)
	}
	if a.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, fmt.Errorf("configuring the connection to the cluster: %w", err)
	}
	if a.resources, err = newResources(config, a.http); err != nil {
		return nil, fmt.Errorf("configuring the connection to the cluster: %w", err)
	}
	return a, nil
}

// UnreachableError means that the cluster did not answer.
type UnreachableError struct {
	// Address is the address at which the cluster was expected.
	Address string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the cluster at %s cannot be reached: %v", e.Address, e.Err)
}

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *UnreachableError) Unwrap() error { return e.Err }

// IsNotFound reports whether err is the answer of an API server that it has no such
// object. client-go returns the same kind of error for every 404, such as the 404 of a
// proxy that has lost its backend, or of a wrong path. resource is the plural in lower
// case, such as "services".
func IsNotFound(err error, resource, name string) bool {
	var answer apierrors.APIStatus
	if !apierrors.IsNotFound(err) || apierrors.IsUnexpectedServerError(err) || !errors.As(err, &answer) {
		return false
	}
	details := answer.Status().Details
	return details != nil && details.Kind == resource && details.Name == name
}

// transport returns an UnreachableError for a request without an answer, and reads the
// cluster's clock from every answer.
type transport struct {
	next  http.RoundTripper
	host  string
	clock *clock
}

var _ utilnet.RoundTripperWrapper = (*transport)(nil)

func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	if err != nil {
		if ctxErr := request.Context().Err(); ctxErr != nil {
			return nil, ctxErr
		}
		return nil, &UnreachableError{Address: t.host, Err: err}
	}
	t.clock.read(response.Header, time.Now())
	return response, nil
}

func (t *transport) WrappedRoundTripper() http.RoundTripper { return t.next }
