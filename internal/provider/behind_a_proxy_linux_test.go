// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
)

// The examples of the guide "Behind a proxy" do what the guide says: the service learns the
// scheme, the client and the host, and from the proxy alone.
func TestBehindAProxy(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T, router string) *site{
		"nginx": startNginx,
		"caddy": startCaddy,
		"haproxy": func(t *testing.T, router string) *site {
			t.Helper()
			return startHAProxy(t, "haproxy.cfg", router)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			router := freeAddress(t)
			s := start(t, router)
			h := newLocalHarness(t)
			h.run(
				resource.TestStep{
					Config: h.config(shopBlock(t, router), version("1.0.0")),
					Check: func(*terraform.State) error {
						s.expectHeaders(1, "127.0.0.9, 127.0.0.1", "https")
						s.expectHeaders(2, "127.0.0.9, 127.0.0.1", "https")
						s.expectWebSocket()
						direct := &http.Client{Transport: directly(t, router)}
						s.expectHeadersOf(direct, "http", "127.0.0.9", "http")
						return nil
					},
				},
				s.deployUnderLoad(h, shopBlock(t, router), version("2.0.0")),
			)
		})
	}
}

// HAProxy passes connections through and names their clients with the PROXY protocol.
func TestBehindAProxyOfConnections(t *testing.T) {
	t.Parallel()
	router := freeAddress(t)
	s := startHAProxy(t, "haproxy-tcp.cfg", router)
	h := newLocalHarness(t)
	block := shopBlock(t, router, "trusted_proxies", "proxy_protocol = true\n    trusted_proxies")
	h.run(
		resource.TestStep{
			Config: h.config(block, version("1.0.0")),
			Check: func(*terraform.State) error {
				s.expectHeaders(1, "127.0.0.9", "http")
				s.expectHeaders(2, "127.0.0.9", "http")
				s.expectWebSocket()
				return nil
			},
		},
		s.deployUnderLoad(h, block, version("2.0.0")),
	)
}

// shopBlock is the block local of the example, with the router at another address and other
// replacements.
func shopBlock(t *testing.T, router string, replacements ...string) attributes {
	t.Helper()
	example := readExample(t, "main.tf", append(replacements, "127.0.0.1:8080", router)...)
	_, block, found := strings.Cut(example, "\n  local = ")
	block, _, ended := strings.Cut(block, "\n  }\n")
	if !found || !ended {
		t.Fatalf("main.tf has no block local: %s", example)
	}
	return attributes{"local": block + "\n  }"}
}

// directly returns a transport that connects to the router without a proxy.
func directly(t *testing.T, router string) *http.Transport {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialFrom(ctx, clientHost, network, router)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// forged is what a client says in forgedHeaders. None of it must reach the service.
const forged = "forged.example.com"

var forgedHeaders = []string{
	"Client-IP", "Forwarded", "Front-End-Https", "True-Client-IP", "X-Client-IP", "X-Forwarded-For",
	"X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Forwarded-Scheme",
	"X-Forwarded-Ssl", "X-Forwarded-User", "X-Forwarded-Groups", "X-Forwarded-Uri", "X-Original-URL",
	"X-Real-IP", "X-Rewrite-URL", "X_Forwarded_For", "X-Forwarded_Proto",
}

// expectHeaders makes that request through the proxy, with a version of HTTP.
func (s *site) expectHeaders(httpVersion int, clients, scheme string) {
	s.t.Helper()
	if spoken := s.expectHeadersOf(s.client(httpVersion), "https", clients, scheme); spoken != httpVersion {
		s.t.Errorf("%s speaks HTTP/%d instead of HTTP/%d", s.name, spoken, httpVersion)
	}
}

// expectHeadersOf makes a request with made-up headers, and fails the test unless the service
// is told these clients and this scheme. It returns the version of HTTP.
func (s *site) expectHeadersOf(client *http.Client, urlScheme, clients, scheme string) (httpVersion int) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, urlScheme+"://"+shopHost+"/headers", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range forgedHeaders {
		request.Header[name] = []string{forged}
	}
	response, err := client.Do(request)
	if err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
	defer response.Body.Close()
	var got map[string][]string
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		s.t.Fatalf("%s: %s: %v", s.name, response.Status, err)
	}
	for name, want := range map[string]string{
		"Host": shopHost, "X-Forwarded-Host": shopHost, "X-Forwarded-For": clients, "X-Forwarded-Proto": scheme,
	} {
		if value := strings.Join(got[name], " and "); value != want {
			s.t.Errorf("%s: %s is %q instead of %q", s.name, name, value, want)
		}
	}
	for name, values := range got {
		if strings.Contains(strings.Join(values, ""), forged) {
			s.t.Errorf("%s: the service got %s: %q", s.name, name, values)
		}
	}
	return response.ProtoMajor
}

// expectWebSocket fails the test unless a WebSocket echoes.
func (s *site) expectWebSocket() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), waitLimit)
	defer cancel()
	options := &websocket.DialOptions{HTTPClient: s.client(1)}
	options.HTTPClient.Timeout = 0
	conn, response, err := websocket.Dial(ctx, "wss://"+shopHost+"/ws", options)
	if response != nil && response.Body != nil {
		defer response.Body.Close()
	}
	if err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
	defer conn.CloseNow()
	if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		s.t.Fatal(err)
	}
	if _, answer, err := conn.Read(ctx); err != nil || string(answer) != "hello" {
		s.t.Errorf("%s: the WebSocket says %q, %v", s.name, answer, err)
	}
}

// deployUnderLoad is a step that deploys 2.0.0 while clients make requests through the proxy. It
// fails the test unless all requests are answered, and later ones by 2.0.0.
func (s *site) deployUnderLoad(h localHarness, settings ...attributes) resource.TestStep {
	var shoppers sync.WaitGroup
	ctx, stop := context.WithCancel(s.t.Context())
	s.t.Cleanup(func() { stop(); shoppers.Wait() })
	return resource.TestStep{
		PreConfig: func() {
			for n := range 2 {
				client := s.client(1 + n)
				begun := make(chan struct{})
				shoppers.Go(func() { s.shop(ctx, client, begun) })
				<-begun
			}
		},
		Config: h.config(settings...),
		Check: func(*terraform.State) error {
			stop()
			shoppers.Wait()
			answer, err := s.ask(s.client(1), http.MethodGet, "/", "")
			if err == nil && answer != "2.0.0" {
				err = fmt.Errorf("%s: after the deploy, %q answers", s.name, answer)
			}
			return err
		},
	}
}

// shop makes requests until ctx ends or one fails. It closes begun after the first ones.
func (s *site) shop(ctx context.Context, client *http.Client, begun chan<- struct{}) {
	report := sync.OnceFunc(func() { close(begun) })
	defer report()
	visits := 0
	for ; visits == 0 || ctx.Err() == nil; visits++ {
		if err := s.visit(client); err != nil {
			s.t.Errorf("%s: after %d visits: %v", s.name, visits, err)
			return
		}
		report()
	}
	s.t.Logf("%s: %d visits", s.name, visits)
}

// visit makes two requests, of which the second must not be sent twice.
func (s *site) visit(client *http.Client) error {
	answer, err := s.ask(client, http.MethodGet, "/", "")
	if err == nil && answer != "1.0.0" && answer != "2.0.0" {
		err = fmt.Errorf("%q answers", answer)
	}
	if err == nil {
		_, err = s.ask(client, http.MethodPost, "/upload", strings.Repeat("x", 4096))
	}
	return err
}

// ask makes a request and returns the answer.
func (s *site) ask(client *http.Client, method, path, body string) (string, error) {
	// The request is made whole even if the test has seen enough.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), waitLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "https://"+shopHost+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	return string(answer), err
}
