// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// A deploy that could not see the cluster for a while switches to no pods that the
// controllers may not know of. Otherwise nobody waits for the controllers: what
// they have not done yet, the switch waits for.
func TestClusterControllersThatAreBehind(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.live("1.0.0", 1)
	s.Config.HealthCheckTimeout, s.Config.HealthCheckRetries = 5*time.Second, 0
	blinked := true
	s.Progress = func(message string) {
		if strings.HasPrefix(message, "checking the health") {
			s.hideFromPreview(bluegreen.Blue)
			s.platform.current().bell.blinked.Store(blinked)
		}
	}
	err := s.apply(s.desired("2.0.0", 1))
	if !errors.Is(err, bluegreen.HealthCheckFailed) || !strings.Contains(err.Error(), "not among the endpoints of the preview") {
		t.Fatalf("got %v", err)
	}
	s.serves("1.0.0")
	blinked = false
	s.must(s.apply(s.desired("2.0.0", 1)))
	s.serves("2.0.0")
}

// hideFromPreview returns when the pods of env are ready and the preview leads to
// none of them.
func (s *shop) hideFromPreview(env bluegreen.Environment) {
	s.Helper()
	const elsewhere = `{"spec":{"selector":{"nothing":"has-this"}}}`
	_, err := s.api.services(s.namespace).Patch(s.Context(), previewName(s.Deployment), types.MergePatchType, []byte(elsewhere), metav1.PatchOptions{FieldManager: "kubectl"})
	s.must(err)
	watching := s.platform.newSession(s.Context(), s.api)
	defer watching.end()
	pods, slices := watching.watch(s.platform.opts.workload(env)).pods, watching.endpoints(previewName(s.Deployment))
	s.must(watching.bell.await(s.Context(), func() (bool, time.Duration, error) {
		found, err := slices.current()
		if err != nil {
			return false, 0, err
		}
		ready, err := pods.current()
		return err == nil && len(receivers(found)) == 0 && len(ready) > 0 && allReady(ready), 0, err
	}))
}

// Whoever follows notices that the cluster could not be seen, and goes on.
func TestFollowerThatLosesSightBlinks(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	watches := make(chan *watch.FakeWatcher)
	b := newBell()
	f := follow(ctx, &running, source[*corev1.Pod]{
		list: func(context.Context, metav1.ListOptions) ([]*corev1.Pod, string, error) { return nil, "1", nil },
		watch: func(ctx context.Context, _ metav1.ListOptions) (watch.Interface, error) {
			w := watch.NewFake()
			context.AfterFunc(ctx, w.Stop)
			select {
			case watches <- w:
				return w, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}, b)
	seen := func(name string) {
		t.Helper()
		err := b.await(ctx, func() (bool, time.Duration, error) {
			pods, err := f.current()
			return err == nil && len(pods) == 1 && pods[0].Name == name, 0, err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	first := <-watches
	first.Add(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "one", UID: "1"}})
	seen("one")
	if b.blinked.Load() {
		t.Error("it blinked before it lost sight")
	}
	first.Stop()
	second := <-watches
	second.Add(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "two", UID: "2"}})
	seen("two")
	if !b.blinked.Load() {
		t.Error("it lost sight and did not blink")
	}
}
