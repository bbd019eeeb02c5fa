// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
)

// visitor makes requests to the live environment and remembers what was unexpected.
type visitor struct {
	h    *harness
	errs []string
}

// checkClients is a step's check that makes requests.
func (h *harness) checkClients(visit func(v *visitor)) func(*terraform.State) error {
	return func(*terraform.State) error {
		v := &visitor{h: h}
		visit(v)
		if len(v.errs) > 0 {
			return fmt.Errorf("%s", strings.Join(v.errs, "\n"))
		}
		return nil
	}
}

// expect makes a request on a connection of its own, which begins with preamble.
func (v *visitor) expect(preamble, method, path string, header http.Header, body []byte, status int, text string) {
	v.h.t.Helper()
	endpoint := v.h.status().Endpoint
	request, err := http.NewRequest(method, endpoint+path, bytes.NewReader(body))
	if err != nil {
		v.h.t.Fatal(err)
	}
	request.Header = header
	conn, err := net.Dial("tcp", request.URL.Host)
	if err != nil {
		v.h.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(waitLimit)); err != nil {
		v.h.t.Fatal(err)
	}
	// The answer may come, and the connection be closed, while the body is on its way. The
	// preamble and the head of the request are sent at once: after an answer to the preamble
	// alone, what is sent later would reset the connection, and the answer be lost.
	go func() {
		w := bufio.NewWriter(conn)
		_, err := w.WriteString(preamble)
		_ = errors.Join(err, request.Write(w), w.Flush())
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		v.errs = append(v.errs, fmt.Sprintf("%s %s: no answer: %v", method, path, err))
		return
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status || !strings.Contains(string(got), text) {
		v.errs = append(v.errs, fmt.Sprintf("%s %s: %s %q, %v; want %d and %q",
			method, path, response.Status, got, err, status, text))
	}
}

// fromProxy is what a TLS proxy says about its client.
func fromProxy() http.Header {
	return http.Header{"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Proto": {"https"}}
}

// routed is a harness of a platform with a router of ours.
type routed struct {
	*harness
	// kind is the name of the platform's block, and block the settings that it needs.
	kind, block string
}

// onEachRouter runs a test on each of these platforms.
func onEachRouter(t *testing.T, test func(h routed)) {
	t.Helper()
	for _, p := range testedPlatforms {
		if p.kind == kindKubernetes {
			// Its traffic goes through no router.
			continue
		}
		t.Run(p.kind, func(t *testing.T) {
			t.Parallel()
			h, block := p.claim(t), "{ "
			if p.kind == kindDocker {
				block = strings.TrimSuffix(h.settings()[kindDocker], " }") + ", "
			}
			test(routed{h, p.kind, block})
		})
	}
}

// with are the attributes of a router with these settings.
func (h routed) with(settings string) attributes {
	return attributes{h.kind: h.block + settings + " }"}
}

// Clients see that the router keeps to its settings, and to the next ones.
func TestRouterKeepsToItsSettings(t *testing.T) {
	t.Parallel()
	onEachRouter(t, testRouterKeepsToItsSettings)
}

func testRouterKeepsToItsSettings(h routed) {
	h.t.Helper()
	upload := bytes.Repeat([]byte("x"), 2048)
	h.run(
		resource.TestStep{
			Config: h.config(h.with(`response_timeout = "1s", max_body = "1k", trusted_proxies = ["127.0.0.1/32"]`)),
			Check: h.checkClients(func(v *visitor) {
				v.expect("", "GET", "/silent", nil, nil, http.StatusGatewayTimeout, "")
				v.expect("", "POST", "/upload", nil, upload, http.StatusRequestEntityTooLarge, "")
				v.expect("", "POST", "/upload", nil, upload[:1024], http.StatusOK, "")
				v.expect("", "GET", "/forwarded", fromProxy(), nil, http.StatusOK, "203.0.113.7, 127.0.0.1 https")
			}),
		},
		resource.TestStep{
			Config: h.config(h.with(`max_body = "2k"`)),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate), planHas(text("deploy-1"), "deployment_id"),
			}},
			Check: h.checkClients(func(v *visitor) {
				v.expect("", "POST", "/upload", nil, upload, http.StatusOK, "")
				v.expect("", "GET", "/forwarded", fromProxy(), nil, http.StatusOK, "127.0.0.1 http")
			}),
		},
	)
}

// The PROXY protocol begins and ends with an update in place. What its header names is the
// client, and the client is not believed what it says about itself.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	onEachRouter(t, testProxyProtocol)
}

func testProxyProtocol(h routed) {
	h.t.Helper()
	const header = "PROXY TCP4 203.0.113.7 198.51.100.1 4711 80\r\n"
	claims := http.Header{"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}}
	h.run(
		resource.TestStep{
			Config: h.config(),
			Check: h.checkClients(func(v *visitor) {
				v.expect(header, "GET", "/", nil, nil, http.StatusBadRequest, "")
			}),
		},
		resource.TestStep{
			Config: h.config(h.with(`proxy_protocol = true, trusted_proxies = ["127.0.0.0/8"]`)),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate), planHas(text("deploy-1"), "deployment_id"),
			}},
			Check: h.checkClients(func(v *visitor) {
				v.expect(header, "GET", "/forwarded", claims, nil, http.StatusOK, "203.0.113.7 http")
			}),
		},
		resource.TestStep{
			Config: h.config(h.with(`proxy_protocol = false`)),
			Check: h.checkClients(func(v *visitor) {
				v.expect("", "GET", "/", nil, nil, http.StatusOK, "1.0.0")
			}),
		},
	)
}

// The access log begins and ends with an update in place, and says which release answered.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	file := filepath.Join(h.stateDir, "deployments", h.name, "access.log")
	logged := h.config(attributes{"local": `{ access_log = true }`})
	h.run(
		resource.TestStep{
			Config: h.config(),
			Check: h.checkClients(func(v *visitor) {
				v.expect("", "GET", "/", nil, nil, http.StatusOK, "")
				if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("requests are logged by default: %v", err)
				}
			}),
		},
		resource.TestStep{
			Config: logged,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate), planHas(text("deploy-1"), "deployment_id"),
			}},
			Check: h.checkClients(func(v *visitor) {
				v.expect("", "GET", "/?token=s3cret", http.Header{"X-Request-Id": {"r-1"}}, nil, http.StatusOK, "")
				var line struct {
					Path, Replica, Version string
					Status                 int
					RequestID              string `json:"request_id"`
				}
				h.awaitJSON(file, &line)
				if line.Path != "/" || line.Version != "1.0.0" || line.RequestID != "r-1" ||
					line.Status != http.StatusOK || !strings.HasPrefix(line.Replica, "green-") {
					t.Errorf("the line is %+v", line)
				}
			}),
		},
		resource.TestStep{
			Config: logged,
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{planIs(plancheck.ResourceActionNoop)},
			},
		},
	)
}

// awaitJSON reads a file that another process writes. The last bytes of an answer come
// before its request is logged.
func (h localHarness) awaitJSON(file string, v any) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), waitLimit)
	defer cancel()
	for ctx.Err() == nil {
		if text, err := os.ReadFile(file); err == nil && json.Unmarshal(text, v) == nil {
			return
		}
		runtime.Gosched()
	}
	h.t.Fatalf("%s has no line of JSON", file)
}
