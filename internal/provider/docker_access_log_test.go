// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// The log of the agent's container has a line for each request, from when access_log is set.
func TestDockerAccessLog(t *testing.T) {
	t.Parallel()
	name, p := claimDocker(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	const block = `{ port = %d, pull = "never", agent_image = %q, access_log = true }`
	logged := fmt.Sprintf(block, servicePort, p.agentImage)
	h.run(
		resource.TestStep{
			Config: h.config(),
			Check: h.checkClients(func(v *visitor) {
				v.expect("", "GET", "/", http.Header{"X-Request-Id": {"r-1"}}, nil, http.StatusOK, "1.0.0")
			}),
		},
		resource.TestStep{
			Config: h.config(attributes{"docker": logged}),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate), planHas(text("deploy-1"), "deployment_id"),
			}},
			Check: h.checkClients(func(v *visitor) {
				v.expect("", "GET", "/?token=s3cret", http.Header{"X-Request-Id": {"r-2"}}, nil, http.StatusOK, "1.0.0")
				line := p.firstLogged(t)
				if line.RequestID != "r-2" || line.Path != "/" || line.Version != "1.0.0" ||
					line.Status != http.StatusOK || !strings.Contains(line.Replica, "green-") {
					t.Errorf("the line is %+v", line)
				}
			}),
		},
	)
}

// loggedRequest is a line of the access log.
type loggedRequest struct {
	Path, Replica, Version string
	Status                 int
	RequestID              string `json:"request_id"`
}

// firstLogged returns the first line that the agent writes to its standard output, and waits
// for it. It must be JSON.
func (p *dockerTestPlatform) firstLogged(t *testing.T) (line loggedRequest) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	stream, err := engine.ContainerLogs(ctx, p.agent, client.ContainerLogsOptions{ShowStdout: true, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	reader, writer := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(writer, io.Discard, stream)
		writer.CloseWithError(err)
	}()
	defer reader.Close()
	if err := json.NewDecoder(reader).Decode(&line); err != nil {
		t.Fatalf("the log of the agent's container: %v", err)
	}
	return line
}
