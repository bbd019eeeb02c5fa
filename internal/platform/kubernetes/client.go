// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/klog/v2"
)

// client-go allows 5 requests a second, in bursts of 10, which holds up a plan of
// a few deployments. The server has a limit of its own, priority and fairness.
const (
	requestsPerSecond = 100
	requestBurst      = 200
)

// gv is the API version that a host is completed with; any does.
var gv = schema.GroupVersion{Version: "v1"}

// Client is a connection to a cluster, shared by the deployments on it. It
// connects when the first of them needs it.
type Client struct {
	open func() (*api, error)
}

// NewClient returns a client for config. It reads no file and connects to nothing.
func NewClient(config ClientConfig) *Client {
	return &Client{open: sync.OnceValues(func() (*api, error) { return newAPI(config) })}
}

// Close closes the connections that no request uses.
func (c *Client) Close() {
	// A client that could not be opened has none.
	if api, err := c.open(); err == nil {
		utilnet.CloseIdleConnectionsFor(api.http.Transport)
	}
}

// api is the part of the cluster's API that a deployment needs.
type api struct {
	// config is for what leaves HTTP: port-forward and exec.
	config *rest.Config
	http   *http.Client
	clock  *clock

	resources
}

// silence keeps client-go from writing to standard error what it returns as an
// error as well. The logger is the process's: it is set once, before anything of
// client-go runs that may read it.
var silence = sync.OnceFunc(func() { klog.SetSlogLogger(slog.New(slog.DiscardHandler)) })

func newAPI(settings ClientConfig) (*api, error) {
	silence()
	config, err := settings.load()
	if err != nil {
		return nil, err
	}
	config.UserAgent = fieldManager
	config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(requestsPerSecond, requestBurst)
	config.WarningHandlerWithContext = rest.NoWarnings{}
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	a := &api{config: rest.CopyConfig(config), clock: &clock{}}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &transport{next: next, host: config.Host, clock: a.clock}
	})
	if a.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, fmt.Errorf("configuring the connection to the cluster: %w", err)
	}
	if a.resources, err = newResources(config, a.http); err != nil {
		return nil, fmt.Errorf("configuring the connection to the cluster: %w", err)
	}
	return a, nil
}

// UnreachableError: the cluster did not answer.
type UnreachableError struct {
	// Address is where it was looked for.
	Address string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the cluster at %s cannot be reached: %v", e.Address, e.Err)
}

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *UnreachableError) Unwrap() error { return e.Err }

// absent reports whether err is the answer of an API server that it has no such
// object. client-go makes the same of every 404: of a proxy whose backend is away,
// of an address whose path leads somewhere else.
func absent(err error, resource, name string) bool {
	var answer apierrors.APIStatus
	if !apierrors.IsNotFound(err) || apierrors.IsUnexpectedServerError(err) || !errors.As(err, &answer) {
		return false
	}
	details := answer.Status().Details
	return details != nil && details.Kind == resource && details.Name == name
}

// transport tells what is no answer of the cluster, and reads its clock.
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

// clock is the cluster's, to the second: what two machines write to be compared
// must not depend on how their own clocks differ.
type clock struct {
	// offset is how far the cluster is ahead of this machine.
	offset atomic.Int64
}

func (c *clock) read(header http.Header, now time.Time) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return
	}
	// The header is cut to the second: within it, the clocks agree.
	if ahead := date.Sub(now); ahead > 0 || ahead < -time.Second {
		c.offset.Store(int64(ahead))
	} else {
		c.offset.Store(0)
	}
}

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())).UTC() }

// pause waits, and returns an error when ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
