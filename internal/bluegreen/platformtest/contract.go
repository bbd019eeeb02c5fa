// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// runContract holds the platform to the doc comments of the seam.
func runContract(t *testing.T, h Harness) {
	cases := map[string]func(*world){
		"what was never made is not found":                neverMade,
		"a commit replaces the generation before it only": commitIsCompareAndSwap,
		"the archive keeps what was closed, in order":     archiveKeepsOrder,
		"one holds the lock, and it dies with its holder": lockNamesItsHolder,
		"nothing changes without the lock":                nothingWithoutTheLock,
		"provisioning twice changes nothing":              provisionIsIdempotent,
		"a release replaces what was there":               provisionReplaces,
		"scaling keeps the instances that stay":           scaleKeepsInstances,
		"an instance can be dialled, asked and read":      instancesAnswer,
		"an instance that exits says how":                 exitIsReported,
		"removing leaves nothing, twice":                  removeIsIdempotent,
		"what was erased is not found":                    eraseForgets,
	}
	for name, story := range cases {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			story(begin(t, h, deploymentName(t)))
		})
	}
}

// lock takes the lock for the rest of the test.
func (w *world) lock() {
	w.Helper()
	unlock, err := w.process.Lock(w.Context(), w.Actor)
	w.must(err)
	w.Cleanup(unlock)
}

// found locks the deployment and commits its first, empty ledger.
func (w *world) found() bluegreen.Ledger {
	w.Helper()
	w.lock()
	l := bluegreen.NewLedger(w.name)
	l.Generation, l.HistoryLimit = 1, 10
	w.must(w.process.Commit(w.Context(), l, nil))
	return l
}

func (w *world) instances(env bluegreen.Environment) []bluegreen.Instance {
	w.Helper()
	instances, err := w.process.Instances(w.Context(), env)
	w.must(err)
	return instances
}

func neverMade(w *world) {
	_, err := w.process.Load(w.Context())
	w.mustFail(err, bluegreen.ErrNotFound)
	if got := w.instances(bluegreen.Green); len(got) != 0 {
		w.Errorf("there are instances: %v", got)
	}
	w.serves("")
}

func commitIsCompareAndSwap(w *world) {
	l := w.found()
	w.mustFail(w.process.Commit(w.Context(), l, nil), bluegreen.ErrStale)
	l.Generation = 3
	w.mustFail(w.process.Commit(w.Context(), l, nil), bluegreen.ErrStale)
	l.Generation = 2
	w.must(w.process.Commit(w.Context(), l, nil))
	if got := w.ledger().Generation; got != 2 {
		w.Errorf("the stored generation is %d, want 2", got)
	}
}

func archiveKeepsOrder(w *world) {
	l := w.found()
	closed := func(ids ...string) (records []bluegreen.Record) {
		for _, id := range ids {
			records = append(records, bluegreen.Record{ID: id, Status: bluegreen.StatusFailed, DeployedAt: time.Unix(1, 0).UTC()})
		}
		return records
	}
	for i, records := range [][]bluegreen.Record{closed("deploy-1", "deploy-2"), nil, closed("deploy-3")} {
		l.Generation = uint64(i) + 2
		w.must(w.process.Commit(w.Context(), l, records))
	}
	stale := l
	w.mustFail(w.process.Commit(w.Context(), stale, closed("deploy-4")), bluegreen.ErrStale)
	records, err := w.process.History(w.Context())
	w.must(err)
	var got []string
	for _, r := range records {
		got = append(got, r.ID)
	}
	if want := []string{"deploy-1", "deploy-2", "deploy-3"}; !slices.Equal(got, want) {
		w.Errorf("the archive holds %v, want %v", got, want)
	}
}

func lockNamesItsHolder(w *world) {
	w.lock()
	other := w.another("other@host (pid 2)")
	_, err := other.process.Lock(w.Context(), other.Actor)
	var held *bluegreen.HolderError
	if !errors.As(err, &held) || held.Holder.Name != w.Actor {
		w.Fatalf("got %v, want the name of the holder, %s", err, w.Actor)
	}
	w.process.Kill()
	// The platform may need a moment to notice that the holder is gone.
	unlock, err := eventually(w, func() (func(), error) { return other.process.Lock(w.Context(), other.Actor) })
	w.must(err)
	unlock()
	unlock, err = eventually(w, func() (func(), error) { return other.process.Lock(w.Context(), other.Actor) })
	w.must(err)
	unlock()
}

func nothingWithoutTheLock(w *world) {
	l := bluegreen.NewLedger(w.name)
	l.Generation = 1
	ctx := w.Context()
	for what, err := range map[string]error{
		"Commit":    w.process.Commit(ctx, l, nil),
		"Provision": second(w.process.Provision(ctx, bluegreen.Green, w.harness.Release("1.0.0", Healthy))),
		"Scale":     w.process.Scale(ctx, bluegreen.Green, 1),
		"Remove":    w.process.Remove(ctx, bluegreen.Green),
		"Erase":     w.process.Erase(ctx),
	} {
		if err == nil {
			w.Errorf("%s works without the lock", what)
		}
	}
	_, err := w.process.Load(ctx)
	w.mustFail(err, bluegreen.ErrNotFound)
}

func provisionIsIdempotent(w *world) {
	w.found()
	release := w.harness.Release("1.0.0", Healthy)
	digest, err := w.process.Provision(w.Context(), bluegreen.Green, release)
	w.must(err)
	before := w.instances(bluegreen.Green)
	if len(before) != release.Replicas {
		w.Fatalf("%d instances run, want %d", len(before), release.Replicas)
	}
	again, err := w.process.Provision(w.Context(), bluegreen.Green, release)
	w.must(err)
	if again != digest {
		w.Errorf("the image is pinned to %q, and to %q the second time", digest, again)
	}
	if after := w.instances(bluegreen.Green); !slices.Equal(before, after) {
		w.Errorf("the instances were %v and are %v", before, after)
	}
	w.must(w.process.Remove(w.Context(), bluegreen.Green))
}

func provisionReplaces(w *world) {
	w.found()
	w.must(second(w.process.Provision(w.Context(), bluegreen.Green, w.harness.Release("1.0.0", Healthy))))
	before := w.instances(bluegreen.Green)
	release := w.harness.Release("2.0.0", Healthy)
	release.Replicas = 1
	w.must(second(w.process.Provision(w.Context(), bluegreen.Green, release)))
	after := w.instances(bluegreen.Green)
	if len(after) != 1 || slices.ContainsFunc(before, func(i bluegreen.Instance) bool { return i.Ref() == after[0].Ref() }) {
		w.Errorf("the instances were %v and are %v, want a single new one", before, after)
	}
	w.must(w.process.Remove(w.Context(), bluegreen.Green))
}

func scaleKeepsInstances(w *world) {
	w.found()
	w.must(second(w.process.Provision(w.Context(), bluegreen.Green, w.harness.Release("1.0.0", Healthy))))
	two := w.instances(bluegreen.Green)
	w.must(w.process.Scale(w.Context(), bluegreen.Green, 3))
	three := w.instances(bluegreen.Green)
	// A replica that stays may have become ready meanwhile.
	same := func(a, b bluegreen.Instance) bool { return a.Ref() == b.Ref() }
	if len(three) != 3 || !slices.EqualFunc(three[:2], two, same) {
		w.Errorf("from %v scaled up to %v", two, three)
	}
	w.must(w.process.Scale(w.Context(), bluegreen.Green, 1))
	one := w.instances(bluegreen.Green)
	if len(one) != 1 || !slices.ContainsFunc(three, func(i bluegreen.Instance) bool { return same(i, one[0]) }) {
		w.Errorf("from %v scaled down to %v", three, one)
	}
	w.must(w.process.Remove(w.Context(), bluegreen.Green))
}

func instancesAnswer(w *world) {
	w.found()
	w.must(second(w.process.Provision(w.Context(), bluegreen.Green, w.harness.Release("1.0.0", Healthy))))
	for _, instance := range w.instances(bluegreen.Green) {
		conn, err := eventually(w, func() (interface{ Close() error }, error) { return w.process.Dial(w.Context(), instance) })
		w.must(err)
		w.must(conn.Close())
		w.must(w.process.Exec(w.Context(), instance, []string{"true"}))
		if err := w.process.Exec(w.Context(), instance, []string{"false"}); err == nil {
			w.Error("a command that fails passes")
		}
		lines, err := w.process.Logs(w.Context(), instance, 1)
		w.must(err)
		if len(lines) > 1 {
			w.Errorf("asked for one line of the log, got %q", lines)
		}
	}
	w.must(w.process.Remove(w.Context(), bluegreen.Green))
}

func exitIsReported(w *world) {
	w.found()
	w.must(second(w.process.Provision(w.Context(), bluegreen.Green, w.harness.Release("1.0.0", Crashing))))
	exit, err := eventually(w, func() (string, error) {
		instances := w.instances(bluegreen.Green)
		if len(instances) == 0 || instances[0].Exit == "" {
			return "", errors.New("it has not exited yet")
		}
		return instances[0].Exit, nil
	})
	w.must(err)
	if !strings.Contains(exit, "3") {
		w.Errorf("the exit is %q, want its status, 3, in it", exit)
	}
	w.must(w.process.Remove(w.Context(), bluegreen.Green))
}

func removeIsIdempotent(w *world) {
	w.found()
	w.must(second(w.process.Provision(w.Context(), bluegreen.Green, w.harness.Release("1.0.0", Healthy))))
	for range 2 {
		w.must(w.process.Remove(w.Context(), bluegreen.Green))
		if got := w.instances(bluegreen.Green); len(got) != 0 {
			w.Errorf("there still are instances: %v", got)
		}
	}
}

func eraseForgets(w *world) {
	w.found()
	for range 2 {
		w.must(w.process.Erase(w.Context()))
		_, err := w.process.Load(w.Context())
		w.mustFail(err, bluegreen.ErrNotFound)
	}
	records, err := w.process.History(w.Context())
	if err == nil && len(records) > 0 {
		w.Errorf("its history is still there: %v", records)
	}
}

// eventually repeats try until it succeeds. What it waits for is another
// process, which cannot tell; the test's own deadline bounds it.
func eventually[T any](w *world, try func() (T, error)) (T, error) {
	w.Helper()
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for {
		result, err := try()
		if err == nil {
			return result, nil
		}
		select {
		case <-pause.C:
		case <-limit.C:
			return result, err
		}
	}
}
