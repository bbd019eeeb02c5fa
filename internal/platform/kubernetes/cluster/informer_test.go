// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// An informer whose watch breaks notes that it has missed events, names what it watches in
// the error, and starts another watch.
func TestInformerNotesThatItMissedEvents(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	watches := make(chan *watch.FakeWatcher)
	n := newNotifier()
	informer := startInformer(ctx, &running, Source[*corev1.Pod]{
		Name: "the pods",
		List: func(context.Context, metav1.ListOptions) ([]*corev1.Pod, string, error) { return nil, "1", nil },
		Watch: func(ctx context.Context, _ metav1.ListOptions) (watch.Interface, error) {
			w := watch.NewFake()
			context.AfterFunc(ctx, w.Stop)
			select {
			case watches <- w:
				return w, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}, n)
	awaitPod := func(name string) {
		t.Helper()
		err := n.await(ctx, func() (bool, time.Duration, error) {
			pods, err := informer.Items()
			return err == nil && len(pods) == 1 && pods[0].Name == name, 0, err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	first := <-watches
	first.Add(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "one", UID: "1"}})
	awaitPod("one")
	if n.hasMissedEvents.Load() {
		t.Error("it has missed events before its watch broke")
	}
	first.Stop()
	if err := n.await(ctx, func() (bool, time.Duration, error) {
		_, err := informer.Items()
		return err != nil, 0, err
	}); err == nil || err.Error() != "watching the pods: the watch ended" {
		t.Errorf("while its watch is broken, the error is %v", err)
	}
	second := <-watches
	second.Add(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "two", UID: "2"}})
	awaitPod("two")
	if !n.hasMissedEvents.Load() {
		t.Error("its watch broke, and it has missed no events")
	}
}
