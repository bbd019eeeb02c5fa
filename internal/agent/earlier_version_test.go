// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

// The exchanges were recorded between a client and an agent of that version. A version that
// changes what is exchanged adds a directory of its own; the old ones stay.
const recordedExchanges = "testdata/0.1.0-dev/exchanges.json"

// exchange is one request of a client and the reply of the agent. $IMAGE stands for the path
// of an image.
type exchange struct {
	Method  string          `json:"method"`
	Path    string          `json:"path"`
	Request json.RawMessage `json:"request,omitempty"`
	Status  int             `json:"status"`
	Reply   json.RawMessage `json:"reply,omitempty"`
}

func readExchanges(t *testing.T) (list []exchange) {
	t.Helper()
	content, err := os.ReadFile(recordedExchanges)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// variable are the fields whose values differ from run to run, and the texts of errors.
var variable = []string{
	"address", "digest", "endpoint", "image", "incarnation", "message", "path", "pid", "preview", "since", "token",
}

// normalize decodes content, without the values that vary.
func normalize(t *testing.T, content []byte) any {
	t.Helper()
	if len(content) == 0 {
		return nil
	}
	var value any
	if err := json.Unmarshal(content, &value); err != nil {
		t.Fatalf("%v: %s", err, content)
	}
	maskVariable(value)
	return value
}

// maskVariable replaces the values of the fields that vary.
func maskVariable(value any) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			maskVariable(item)
		}
	case map[string]any:
		for _, name := range slices.Collect(maps.Keys(v)) {
			if text, isText := v[name].(string); isText && text != "" && slices.Contains(variable, name) {
				v[name] = "varies"
			}
			maskVariable(v[name])
		}
	}
}

// hasAll reports whether got has everything that want has. Another field in an object is
// compatible: the other side ignores it.
func hasAll(got, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		for name, value := range w {
			ok = ok && hasAll(g[name], value)
		}
		return ok
	case []any:
		g, ok := got.([]any)
		ok = ok && len(g) == len(w)
		for i := 0; ok && i < len(w); i++ {
			ok = hasAll(g[i], w[i])
		}
		return ok
	default:
		return got == want
	}
}

// Requests of an earlier version get from this agent the replies that they got then.
func TestRequestsOfAnEarlierVersionAreAnsweredAsTheyWere(t *testing.T) {
	t.Parallel()
	c, image, token := newTestAgent(t), t.TempDir(), ""
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return api.Dial(ctx, c.dir) },
	}
	t.Cleanup(transport.CloseIdleConnections)
	putListener(t, filepath.Join(image, "sleep"))
	ask := func(e exchange) (status int, reply json.RawMessage) {
		body := strings.NewReader(strings.ReplaceAll(string(e.Request), "$IMAGE", image))
		request, err := http.NewRequestWithContext(t.Context(), e.Method, "http://agent"+e.Path, body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(api.VersionHeader, "1")
		request.Header.Set(api.LockHeader, token)
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		// The reply to a request for a lock ends with the lock.
		t.Cleanup(func() { response.Body.Close() })
		if err := json.NewDecoder(response.Body).Decode(&reply); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		return response.StatusCode, reply
	}
	for _, e := range readExchanges(t) {
		status, reply := ask(e)
		if status != e.Status || !hasAll(normalize(t, reply), normalize(t, e.Reply)) {
			t.Errorf("%s %s is answered with %d and\n%s\nwant %d and\n%s",
				e.Method, e.Path, status, reply, e.Status, e.Reply)
		}
		if e.Method == http.MethodPut && strings.HasSuffix(e.Path, "/environments/blue") {
			// It is answered once the replica listens, as that version took for granted.
			ask(exchange{Method: http.MethodPut, Path: e.Path + "/size", Request: json.RawMessage(`{"replicas":1}`)})
		}
		var lock api.LockReply
		if json.Unmarshal(reply, &lock) == nil && lock.Token != "" {
			token = lock.Token
		}
	}
}

// putListener puts a program at path that listens as a replica, whatever its arguments are.
func putListener(t *testing.T, path string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\nexec '%s' listen\n", self), 0o700); err != nil {
		t.Fatal(err)
	}
}

// A client of this version sends what the earlier one sent, and understands the replies.
func TestRepliesOfAnEarlierVersionAreUnderstood(t *testing.T) {
	t.Parallel()
	rest := readExchanges(t)
	c := serveHandler(t, func(store.Dir) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil || len(rest) == 0 {
				t.Errorf("%s %s is one request too many, %v", r.Method, r.URL, err)
				return
			}
			e := rest[0]
			rest = rest[1:]
			if r.Method != e.Method || r.URL.String() != e.Path || r.Header.Get(api.VersionHeader) != "1" ||
				!hasAll(normalize(t, body), normalize(t, e.Request)) {
				t.Errorf("sent is %s %s\n%s\nwant %s %s\n%s", r.Method, r.URL, body, e.Method, e.Path, e.Request)
			}
			w.WriteHeader(e.Status)
			_, _ = w.Write(e.Reply)
			if e.Method == http.MethodPost && strings.HasSuffix(e.Path, "/lock") && e.Status == http.StatusOK {
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
		})
	})
	makeRecordedCalls(t, c.Client, "$IMAGE")
	if len(rest) > 0 {
		t.Errorf("%d exchanges are missing, the first is %s %s", len(rest), rest[0].Method, rest[0].Path)
	}
}

// makeRecordedCalls makes the calls of the recorded exchanges and checks what they return.
func makeRecordedCalls(t *testing.T, c *client.Client, image string) {
	t.Helper()
	ctx := t.Context()
	check := func(what string, ok bool, got ...any) {
		t.Helper()
		if !ok {
			t.Errorf("%s: %v", what, got)
		}
	}
	err := errOf(c.Deployment(ctx, "web"))
	check("reading no deployment", errors.Is(err, bluegreen.ErrNotFound), err)
	held := lockDeployment(t, c, "web", "ada")
	var holder *bluegreen.LockedError
	err = errOf(c.Lock(ctx, "web", "bob"))
	check("locking twice", errors.As(err, &holder) && holder.Holder.Name == "ada", err)

	release := bluegreen.Release{
		Version: "1.0.0", Image: image, Replicas: 1, Command: []string{"sleep"}, Args: []string{"600"},
		Env: map[string]string{"GREETING": "hello"},
	}
	digest, err := held.Provision(ctx, bluegreen.Blue, release, "")
	check("provisioning", err == nil && digest != "", digest, err)
	instances, err := c.Instances(ctx, "web", bluegreen.Blue)
	check("instances", err == nil && len(instances) == 1 && instances[0].ID == "blue-1" && instances[0].Running &&
		instances[0].Address != "" && instances[0].Incarnation != "", instances, err)
	lines, err := c.Logs(ctx, "web", bluegreen.Blue, "blue-1", 5)
	check("logs", err == nil && len(lines) == 0, lines, err)
	err = c.Exec(ctx, "web", bluegreen.Blue, "blue-1", []string{"true"})
	check("exec", err == nil, err)
	release.Image += "/missing"
	var refused *client.ImageError
	err = errOf(held.Provision(ctx, bluegreen.Green, release, ""))
	check("provisioning no image", errors.As(err, &refused) && refused.Path != "", err)

	ledger := liveOn(store.ExternalReplica{ID: "blue-1"}, bluegreen.Blue, 1)
	ledger.Schema = 1 // as that version wrote it
	front := store.Frontend{Protocol: protocol.HTTP, DrainTimeout: time.Second}
	closed := []bluegreen.Record{{ID: "deploy-0", Operation: bluegreen.OpDeploy, Status: bluegreen.StatusFailed}}
	err = held.Commit(ctx, ledger, closed, front, nil)
	check("committing", err == nil, err)
	err = held.Commit(ctx, ledger, nil, front, nil)
	check("committing twice", errors.Is(err, bluegreen.ErrStale), err)
	ledger.Generation, front.Listen = 2, []string{"192.0.2.1:80"}
	var address *client.AddressError
	err = held.Commit(ctx, ledger, nil, front, nil)
	check("listening elsewhere", errors.As(err, &address) && address.Address != "", err)
	status, err := c.Deployment(ctx, "web")
	check("reading", err == nil && status.Ledger.Generation == 1 && status.Running[bluegreen.Blue] == 1 &&
		status.Endpoint != "" && status.Preview != "", status, err)
	history, err := c.History(ctx, "web")
	check("history", err == nil && len(history) == 1 && history[0].ID == "deploy-0", history, err)
	check("awaiting traffic", c.AwaitTraffic(ctx, "web", bluegreen.Blue) == nil)
	check("draining", c.Drain(ctx, "web", bluegreen.Green) == nil)
	check("scaling", held.Scale(ctx, bluegreen.Blue, 2) == nil)

	external := store.ExternalReplica{ID: "green-1", Incarnation: "first", Address: "127.0.0.1:1"}
	check("routing", held.Route(ctx, bluegreen.Green, []store.ExternalReplica{external}) == nil)
	check("storing", held.StoreContainerSpec(ctx, bluegreen.Green, []byte("spec")) == nil)
	spec, err := held.ContainerSpec(ctx, bluegreen.Green)
	check("container spec", err == nil && string(spec) == "spec", spec, err)
	check("removing green", held.Remove(ctx, bluegreen.Green) == nil)
	check("removing blue", held.Remove(ctx, bluegreen.Blue) == nil)
	ends, err := held.EndAgentIfUnused(ctx)
	check("ending", err == nil && !ends, ends, err)
	check("erasing", held.Erase(ctx) == nil)
	held.Unlock()
	err = held.Erase(ctx)
	check("erasing without the lock", errors.Is(err, client.ErrLockLost), err)
}
