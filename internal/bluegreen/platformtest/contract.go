// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// runContract tests each method of the platform against its doc comment in bluegreen.Platform.
func runContract(t *testing.T, h Harness) {
	cases := map[string]func(*platformUnderTest){
		"a deployment that was never made is not found":         neverMade,
		"a commit replaces the generation before it only":       commitIsCompareAndSwap,
		"the archive keeps the closed records in order":         archiveKeepsOrder,
		"the lock has one holder and ends with it":              lockNamesItsHolder,
		"nothing changes without the lock":                      nothingWithoutTheLock,
		"provisioning twice changes nothing":                    provisionIsIdempotent,
		"a release replaces what was there":                     provisionReplaces,
		"scaling keeps the instances that stay":                 scaleKeepsInstances,
		"an instance can be dialed, has logs and runs commands": instancesAnswer,
		"an instance that exits says how":                       exitIsReported,
		"removing leaves nothing, twice":                        removeIsIdempotent,
		"an erased deployment is not found":                     erasedIsNotFound,
		"the key comes back, and not in the ledger":             keyComesBack,
	}
	for name, scenario := range cases {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			scenario(newPlatformUnderTest(t, h, deploymentName(t)))
		})
	}
}

// lock takes the lock for the rest of the test.
func (p *platformUnderTest) lock() {
	p.Helper()
	unlock, err := p.process.Lock(p.Context(), p.Actor)
	p.must(err)
	p.Cleanup(unlock)
}

// createLocked takes the lock for the rest of the test and commits a first, empty ledger.
func (p *platformUnderTest) createLocked() bluegreen.Ledger {
	p.Helper()
	p.lock()
	return p.commitEmpty()
}

// commitEmpty commits the first, empty ledger.
func (p *platformUnderTest) commitEmpty() bluegreen.Ledger {
	p.Helper()
	l := bluegreen.NewLedger(p.name)
	l.Generation, l.HistoryLimit = 1, 10
	p.must(p.process.Commit(p.Context(), l, nil))
	return l
}

// instances returns what is in env.
func (p *platformUnderTest) instances(env bluegreen.Environment) []bluegreen.Instance {
	p.Helper()
	instances, err := p.process.Instances(p.Context(), env)
	p.must(err)
	return instances
}

func neverMade(p *platformUnderTest) {
	_, err := p.process.Load(p.Context())
	p.mustFail(err, bluegreen.ErrNotFound)
	if got := p.instances(bluegreen.Green); len(got) != 0 {
		p.Errorf("there are instances: %v", got)
	}
	p.mustServe("")
}

func commitIsCompareAndSwap(p *platformUnderTest) {
	l := p.createLocked()
	p.mustFail(p.process.Commit(p.Context(), l, nil), bluegreen.ErrStale)
	l.Generation = 3
	p.mustFail(p.process.Commit(p.Context(), l, nil), bluegreen.ErrStale)
	l.Generation = 2
	p.must(p.process.Commit(p.Context(), l, nil))
	if got := p.ledger().Generation; got != 2 {
		p.Errorf("the stored generation is %d, want 2", got)
	}
}

func archiveKeepsOrder(p *platformUnderTest) {
	l := p.createLocked()
	closed := func(ids ...string) (records []bluegreen.Record) {
		for _, id := range ids {
			records = append(records, bluegreen.Record{
				ID: id, Status: bluegreen.StatusFailed, DeployedAt: time.Unix(1, 0).UTC(),
			})
		}
		return records
	}
	for i, records := range [][]bluegreen.Record{closed("deploy-1", "deploy-2"), nil, closed("deploy-3")} {
		l.Generation = uint64(i) + 2
		p.must(p.process.Commit(p.Context(), l, records))
	}
	stale := l
	p.mustFail(p.process.Commit(p.Context(), stale, closed("deploy-4")), bluegreen.ErrStale)
	records, err := p.process.History(p.Context())
	p.must(err)
	var got []string
	for _, r := range records {
		got = append(got, r.ID)
	}
	if want := []string{"deploy-1", "deploy-2", "deploy-3"}; !slices.Equal(got, want) {
		p.Errorf("the archive holds %v, want %v", got, want)
	}
}

func lockNamesItsHolder(p *platformUnderTest) {
	p.lock()
	other := p.openAnother("other@host (pid 2)")
	_, err := other.process.Lock(p.Context(), other.Actor)
	var held *bluegreen.LockedError
	if !errors.As(err, &held) || held.Holder.Name != p.Actor {
		p.Fatalf("got %v, want the name of the holder, %s", err, p.Actor)
	}
	p.process.Kill()
	// The platform may need a moment to notice that the holder is gone.
	unlock, err := eventually(p, func() (func(), error) { return other.process.Lock(p.Context(), other.Actor) })
	p.must(err)
	unlock()
	unlock, err = eventually(p, func() (func(), error) { return other.process.Lock(p.Context(), other.Actor) })
	p.must(err)
	unlock()
}

func nothingWithoutTheLock(p *platformUnderTest) {
	l := bluegreen.NewLedger(p.name)
	l.Generation = 1
	ctx := p.Context()
	for what, err := range map[string]error{
		"Commit":    p.process.Commit(ctx, l, nil),
		"Prepare":   second(p.process.Prepare(ctx, p.harness.Release("1.0.0", Healthy))),
		"Provision": second(p.process.Provision(ctx, bluegreen.Green, p.harness.Release("1.0.0", Healthy))),
		"Scale":     p.process.Scale(ctx, bluegreen.Green, 1),
		"Remove":    p.process.Remove(ctx, bluegreen.Green),
		"Erase":     p.process.Erase(ctx),
	} {
		if err == nil {
			p.Errorf("%s works without the lock", what)
		}
	}
	_, err := p.process.Load(ctx)
	p.mustFail(err, bluegreen.ErrNotFound)
}

// isSameRun reports whether a is still b. It may have become ready meanwhile.
func isSameRun(a, b bluegreen.Instance) bool { return a.Ref() == b.Ref() }

func provisionIsIdempotent(p *platformUnderTest) {
	p.createLocked()
	release := p.harness.Release("1.0.0", Healthy)
	digest, err := p.process.Provision(p.Context(), bluegreen.Green, release)
	p.must(err)
	before := p.instances(bluegreen.Green)
	if len(before) != release.Replicas {
		p.Fatalf("%d instances run, want %d", len(before), release.Replicas)
	}
	again, err := p.process.Provision(p.Context(), bluegreen.Green, release)
	p.must(err)
	if again != digest {
		p.Errorf("the image is pinned to %q, and to %q the second time", digest, again)
	}
	if after := p.instances(bluegreen.Green); !slices.EqualFunc(before, after, isSameRun) {
		p.Errorf("the instances were %v and are %v", before, after)
	}
	p.must(p.process.Remove(p.Context(), bluegreen.Green))
}

func provisionReplaces(p *platformUnderTest) {
	p.createLocked()
	p.must(second(p.process.Provision(p.Context(), bluegreen.Green, p.harness.Release("1.0.0", Healthy))))
	before := p.instances(bluegreen.Green)
	release := p.harness.Release("2.0.0", Healthy)
	release.Replicas = 1
	p.must(second(p.process.Provision(p.Context(), bluegreen.Green, release)))
	after := p.instances(bluegreen.Green)
	wasThere := func(i bluegreen.Instance) bool { return i.Ref() == after[0].Ref() }
	if len(after) != 1 || slices.ContainsFunc(before, wasThere) {
		p.Errorf("the instances were %v and are %v, want a single new one", before, after)
	}
	p.must(p.process.Remove(p.Context(), bluegreen.Green))
}

func scaleKeepsInstances(p *platformUnderTest) {
	p.createLocked()
	p.must(second(p.process.Provision(p.Context(), bluegreen.Green, p.harness.Release("1.0.0", Healthy))))
	two := p.instances(bluegreen.Green)
	p.must(p.process.Scale(p.Context(), bluegreen.Green, 3))
	three := p.instances(bluegreen.Green)
	if len(three) != 3 || !slices.EqualFunc(three[:2], two, isSameRun) {
		p.Errorf("from %v scaled up to %v", two, three)
	}
	p.must(p.process.Scale(p.Context(), bluegreen.Green, 1))
	one := p.instances(bluegreen.Green)
	if len(one) != 1 || !slices.ContainsFunc(three, func(i bluegreen.Instance) bool { return isSameRun(i, one[0]) }) {
		p.Errorf("from %v scaled down to %v", three, one)
	}
	p.must(p.process.Remove(p.Context(), bluegreen.Green))
}

func instancesAnswer(p *platformUnderTest) {
	p.createLocked()
	p.must(second(p.process.Provision(p.Context(), bluegreen.Green, p.harness.Release("1.0.0", Healthy))))
	for _, instance := range p.instances(bluegreen.Green) {
		conn, err := eventually(p, func() (net.Conn, error) { return p.process.Dial(p.Context(), instance) })
		p.must(err)
		p.must(conn.Close())
		p.must(p.process.Exec(p.Context(), instance, []string{"true"}))
		if err := p.process.Exec(p.Context(), instance, []string{"false"}); err == nil {
			p.Error("a command that fails passes")
		}
		lines, err := p.process.Logs(p.Context(), instance, 1)
		p.must(err)
		if len(lines) > 1 {
			p.Errorf("asked for one line of the log, got %q", lines)
		}
	}
	p.must(p.process.Remove(p.Context(), bluegreen.Green))
}

func exitIsReported(p *platformUnderTest) {
	p.createLocked()
	p.must(second(p.process.Provision(p.Context(), bluegreen.Green, p.harness.Release("1.0.0", Crashing))))
	exit, err := eventually(p, func() (string, error) {
		instances := p.instances(bluegreen.Green)
		if len(instances) == 0 || instances[0].Exit == "" {
			return "", errors.New("it has not exited yet")
		}
		return instances[0].Exit, nil
	})
	p.must(err)
	if !strings.Contains(exit, "3") {
		p.Errorf("the exit is %q, want its status, 3, in it", exit)
	}
	p.must(p.process.Remove(p.Context(), bluegreen.Green))
}

func removeIsIdempotent(p *platformUnderTest) {
	p.createLocked()
	p.must(second(p.process.Provision(p.Context(), bluegreen.Green, p.harness.Release("1.0.0", Healthy))))
	for range 2 {
		p.must(p.process.Remove(p.Context(), bluegreen.Green))
		if got := p.instances(bluegreen.Green); len(got) != 0 {
			p.Errorf("there still are instances: %v", got)
		}
	}
}

func erasedIsNotFound(p *platformUnderTest) {
	p.createLocked()
	for range 2 {
		p.must(p.process.Erase(p.Context()))
		_, err := p.process.Load(p.Context())
		p.mustFail(err, bluegreen.ErrNotFound)
	}
	records, err := p.process.History(p.Context())
	if err == nil && len(records) > 0 {
		p.Errorf("its history is still there: %v", records)
	}
}

func keyComesBack(p *platformUnderTest) {
	p.create("1.0.0")
	key := p.ledger().Key
	other := p.openAnother("other@host (pid 2)")
	loaded := other.ledger()
	status, err := p.openAnother("third@host (pid 3)").process.Observe(p.Context())
	p.must(err)
	if key == "" || loaded.Key != key || status.Ledger.Key != key {
		p.Errorf("the key (there: %t) comes back with Load: %t, with Observe: %t",
			key != "", loaded.Key == key, status.Ledger.Key == key)
	}
	if strings.Contains(dump(loaded)+dump(other.history()), string(key)) {
		p.Error("the ledger or the history contains the key")
	}
	// Another process goes on with the same key.
	other.deployVersion("2.0.0")
	if again := p.openAnother("fourth@host (pid 4)").ledger(); again.Key != key {
		p.Error("the next deploy has another key")
	}
	p.must(p.Destroy(p.Context()))
	p.createLocked()
	if again := p.openAnother("fifth@host (pid 5)").ledger(); again.Key != "" {
		p.Error("a new deployment of the same name has a key already")
	}
}

// eventually repeats try until it succeeds, for 30 s at most. It is for what the
// platform reports no event of.
func eventually[T any](p *platformUnderTest, try func() (T, error)) (T, error) {
	p.Helper()
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

// onceUnlocked runs an operation, and again while another process holds the lock. The
// platform may need a moment to notice that the holder has died.
func onceUnlocked(p *platformUnderTest, operate func() error) (err error) {
	p.Helper()
	_, _ = eventually(p, func() (bool, error) {
		err = operate()
		if _, isLocked := errors.AsType[*bluegreen.LockedError](err); isLocked {
			return false, err
		}
		return true, nil
	})
	return err
}
