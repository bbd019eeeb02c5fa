// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// BenchmarkProxy compares the router with the standard library's proxy in the
// same process: same replica and same clients. Clients
// and replica allocate nothing, so that the allocations are the proxy's.
//
// "bare" is httputil.ReverseProxy with a tuned transport; "pooled" lends it a
// buffer pool, which it lacks by default, and sets X-Forwarded-*, as the router does.
func BenchmarkProxy(b *testing.B) {
	b.Run("bare", func(b *testing.B) { benchmarkProxy(b, serveProxy(b, nil)) })
	b.Run("pooled", func(b *testing.B) { benchmarkProxy(b, serveProxy(b, newBuffers())) })
	b.Run("router", func(b *testing.B) {
		m, err := router.NewMetrics(prometheus.NewRegistry(), "web")
		if err != nil {
			b.Fatal(err)
		}
		e := startRouter(b, protocol.HTTP, m)
		e.blue.Set([]router.Backend{{ID: "blue-1", Addr: cannedReplica(b, "hello")}})
		benchmarkProxy(b, e.addr)
	})
}

// benchmarkProxy sends b.N requests over keep-alive connections.
func benchmarkProxy(b *testing.B, addr string) {
	b.Helper()
	b.ReportAllocs()
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c, err := dialKeepAlive(addr)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		for pb.Next() {
			if err := c.get(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// serveProxy serves a tuned httputil.ReverseProxy and returns its address.
func serveProxy(b *testing.B, buffers httputil.BufferPool) string {
	b.Helper()
	target := &url.URL{Scheme: "http", Host: cannedReplica(b, "hello")}
	transport := &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true}
	proxy := &httputil.ReverseProxy{
		Transport:  transport,
		BufferPool: buffers,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			if buffers != nil {
				r.SetXForwarded()
			}
		},
	}
	l := listen(b)
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	b.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
		transport.CloseIdleConnections()
	})
	return l.Addr().String()
}

// BenchmarkSwitch measures, under load of 8 clients, the time from the swap
// until the first request arrives at the new environment, and until the last
// one that still went to the old one arrived there.
func BenchmarkSwitch(b *testing.B) {
	e := startRouter(b, protocol.HTTP, nil)
	var arrivals [2]arrivals
	for i, pool := range []*router.Pool{e.blue, e.green} {
		pool.Set([]router.Backend{{ID: "1", Addr: countingReplica(b, &arrivals[i])}})
	}
	stop := make(chan struct{})
	done := make(chan error, 8)
	for range cap(done) {
		go func() { done <- keepAsking(e.addr, stop) }()
	}
	pools := []*router.Pool{e.green, e.blue}
	var first, last []time.Duration
	for i := range b.N {
		incoming, outgoing := &arrivals[(i+1)%2], &arrivals[i%2]
		arrived := incoming.next()
		start := time.Now()
		old := e.Switch(pools[i%2])
		first = append(first, (<-arrived).Sub(start))
		if err := old.WaitIdle(b.Context()); err != nil {
			b.Fatal(err)
		}
		last = append(last, max(0, time.Unix(0, outgoing.latest.Load()).Sub(start)))
	}
	b.StopTimer()
	close(stop)
	for range cap(done) {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	report(b, "first-new", first)
	report(b, "last-old", last)
}

func report(b *testing.B, name string, durations []time.Duration) {
	b.Helper()
	slices.Sort(durations)
	for _, percentile := range []int{50, 99} {
		d := durations[len(durations)*percentile/100]
		b.ReportMetric(float64(d.Nanoseconds())/1e3, fmt.Sprintf("%s-p%d-µs", name, percentile))
	}
}

// arrivals is what reaches one environment.
type arrivals struct {
	latest atomic.Int64 // nanoseconds
	waiter atomic.Pointer[chan time.Time]
}

// next returns a channel that gets the time of the next arrival.
func (a *arrivals) next() <-chan time.Time {
	c := make(chan time.Time, 1)
	a.waiter.Store(&c)
	return c
}

func (a *arrivals) note() {
	now := time.Now()
	a.latest.Store(now.UnixNano())
	if c := a.waiter.Swap(nil); c != nil {
		*c <- now
	}
}

func keepAsking(addr string, stop <-chan struct{}) error {
	c, err := dialKeepAlive(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if err := c.get(); err != nil {
			return err
		}
	}
}

func cannedReplica(b *testing.B, body string) string { return rawReplica(b, body, func() {}) }

func countingReplica(b *testing.B, a *arrivals) string { return rawReplica(b, "hello", a.note) }

// rawReplica answers every request without allocating, and returns its address.
func rawReplica(b *testing.B, body string, arrived func()) string {
	b.Helper()
	answer := fmt.Appendf(nil,
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return serveRaw(b, func(_ int, conn net.Conn) {
		requests := bufio.NewReader(conn)
		for skipHeader(requests) == nil {
			arrived()
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
	})
}

// skipHeader reads to the empty line.
func skipHeader(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil || len(line) == 2 {
			return err
		}
	}
}

// keepAlive is a client on one connection that allocates nothing.
type keepAlive struct {
	net.Conn

	answers *bufio.Reader
}

func dialKeepAlive(addr string) (*keepAlive, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &keepAlive{Conn: conn, answers: bufio.NewReader(conn)}, nil
}

var (
	request = []byte("GET /hello HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	okLine  = []byte("HTTP/1.1 200 OK\r\n")
)

// get asks and reads the answer, whose body is always "hello".
func (c *keepAlive) get() error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	line, err := c.answers.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.Equal(line, okLine) {
		return fmt.Errorf("answer %q", line)
	}
	if err := skipHeader(c.answers); err != nil {
		return err
	}
	_, err = c.answers.Discard(len("hello"))
	return err
}

// buffers is a buffer pool such as a tuned ReverseProxy would get.
type buffers struct{ free chan []byte }

func newBuffers() *buffers { return &buffers{free: make(chan []byte, 64)} }

func (p *buffers) Get() []byte {
	select {
	case b := <-p.free:
		return b
	default:
		return make([]byte, 32<<10)
	}
}

func (p *buffers) Put(b []byte) {
	select {
	case p.free <- b:
	default:
	}
}
