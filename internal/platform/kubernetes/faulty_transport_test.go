// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// faultyTransport is between one client and the cluster. It loses or holds up the
// requests that are intercepted.
type faultyTransport struct {
	next http.RoundTripper
	// clockAhead is how far the clock of the client's machine is ahead.
	clockAhead atomic.Int64

	mu sync.Mutex
	// matches reports whether a request is intercepted. If it is nil, none is.
	matches func(*http.Request) bool
	// isLossy loses what is intercepted; otherwise it arrives after restore.
	isLossy bool
	// first is closed when a request is intercepted, and restored with restore.
	first, restored chan struct{}
	notifyFirst     func()
	// watches end the watches that are running.
	watches []context.CancelFunc
}

var errCut = errors.New("the network is cut")

// newFaultyClient returns a client of its own behind a transport without faults.
func newFaultyClient(t testing.TB) (*Client, *faultyTransport) {
	t.Helper()
	f := &faultyTransport{}
	config := adminConfig(sharedCluster.Cluster)
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		f.next = next
		return f
	}
	config.LocalTime = func() time.Time { return time.Now().Add(time.Duration(f.clockAhead.Load())) }
	client := NewClient(config)
	t.Cleanup(client.Close)
	return client, f
}

// intercept loses or holds up the requests that match, until restore. first is closed
// when a request is intercepted.
func (f *faultyTransport) intercept(isLossy bool, matches func(*http.Request) bool) (first <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.matches, f.isLossy, f.first, f.restored = matches, isLossy, make(chan struct{}), make(chan struct{})
	f.notifyFirst = sync.OnceFunc(func() { close(f.first) })
	return f.first
}

func (f *faultyTransport) restore() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.matches = nil
	close(f.restored)
}

// breakWatches ends the watches that are running. They may start again.
func (f *faultyTransport) breakWatches() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, cancel := range f.watches {
		cancel()
	}
	f.watches = nil
}

func (f *faultyTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	f.mu.Lock()
	isIntercepted := f.matches != nil && f.matches(request)
	isLossy, restored, notifyFirst := f.isLossy, f.restored, f.notifyFirst
	if request.URL.Query().Get("watch") != "" {
		ctx, cancel := context.WithCancel(request.Context())
		f.watches = append(f.watches, cancel)
		request = request.WithContext(ctx)
	}
	f.mu.Unlock()
	if isIntercepted {
		notifyFirst()
		if isLossy {
			return nil, errCut
		}
		select {
		case <-restored:
		case <-request.Context().Done():
			return nil, request.Context().Err()
		}
	}
	return f.next.RoundTrip(request)
}

// WrappedRoundTripper lets the connections be closed.
func (f *faultyTransport) WrappedRoundTripper() http.RoundTripper { return f.next }
