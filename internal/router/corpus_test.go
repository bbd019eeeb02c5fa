// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// story is one entry of the corpus: what a client and a replica send over bare connections,
// and what arrives on the other side.
//
// Each line says who does what: "client sends GET / HTTP/1.1|Host: a||". "|" ends a line of
// a message, "<1000>" is a thousand times the letter x, and \n or \x00 are such bytes. A
// line that begins with "+" goes on with the one before. What arrives is compared in full,
// but for the order of different fields, the letters of their names, the framing of chunks,
// and what a proxy has to add: X-Forwarded-* if they are true, Date.
// "400" alone compares the status, "cut" is an answer that breaks off, and " or " is
// between what is equally right.
//
// The last lines say what becomes of the connections. One that "stays" has answered another
// request in step, and one that "goes" has been closed.
type story struct {
	name string
	rule string // where it comes from
	text string
}

// corpus are all stories.
func corpus() []story {
	return slices.Concat(smuggling, claims, requestFraming, answerFraming, hopByHop, early, late, garbage, oddities)
}

func TestCorpus(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, story := range corpus() {
		if names[story.name] {
			t.Errorf("two stories are called %q", story.name)
		}
		names[story.name] = true
		t.Run(story.name, func(t *testing.T) {
			t.Parallel()
			if line, instead := routerStage(t, 10*time.Second).play(story.text); instead != "" {
				t.Errorf("%s:\n  %s\n  instead: %s", story.rule, line, instead)
			}
		})
	}
}

// routerStage is a stage with a router of ours.
func routerStage(t *testing.T, patience time.Duration) *stage {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	e := startRouter(t, protocol.HTTP, metrics(t, registry, "web"))
	var reported atomic.Int64
	e.blue.OnFailure(func(router.Backend, int, error) { reported.Add(1) })
	s := newStage(listen(t), patience)
	t.Cleanup(s.close)
	s.front = e.addr
	s.failures = func() int {
		// A failure is counted before its request ends.
		if err := e.blue.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		return int(reported.Load()) + int(nonzero(t, registry)["failures_total web blue upstream"])
	}
	e.blue.Set([]router.Backend{{ID: "blue-1", Addr: s.listener.Addr().String()}})
	return s
}
