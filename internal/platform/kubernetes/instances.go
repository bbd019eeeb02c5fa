// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// places numbers pods, whose names tell nobody anything: "green-2" is one pod for
// as long as it lives, as far as one operation and the ledger go.
type places struct {
	numbers map[types.UID]int
	seen    map[types.UID]*corev1.Pod
}

func newPlaces() places {
	return places{map[types.UID]int{}, map[types.UID]*corev1.Pod{}}
}

// assign gives every pod of env a number and returns the pods in that order.
// Those that the ledger remembers keep their number, and so do those seen
// before; the others get what is free, the oldest first.
func (l places) assign(env bluegreen.Environment, pods []*corev1.Pod, remembered []bluegreen.InstanceRef) []*corev1.Pod {
	taken := map[int]bool{}
	var fresh []*corev1.Pod
	for _, pod := range pods {
		l.seen[pod.UID] = pod
		number := l.numbers[pod.UID]
		if number == 0 {
			number = numberOf(env, pod.UID, remembered)
		}
		if number == 0 || taken[number] {
			fresh = append(fresh, pod)
			continue
		}
		taken[number], l.numbers[pod.UID] = true, number
	}
	slices.SortFunc(fresh, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	number := 1
	for _, pod := range fresh {
		for taken[number] {
			number++
		}
		taken[number], l.numbers[pod.UID] = true, number
	}
	ordered := slices.Clone(pods)
	slices.SortFunc(ordered, func(a, b *corev1.Pod) int { return l.numbers[a.UID] - l.numbers[b.UID] })
	return ordered
}

// numberOf is the number that the ledger remembers for a pod, 0 for none.
func numberOf(env bluegreen.Environment, pod types.UID, remembered []bluegreen.InstanceRef) int {
	for _, ref := range remembered {
		uid, _ := runOf(ref.Incarnation)
		digits, ours := strings.CutPrefix(ref.ID, env.String()+"-")
		if number, err := strconv.Atoi(digits); err == nil && ours && uid == pod {
			return max(number, 0)
		}
	}
	return 0
}

// incarnation tells this run of a container from every other: a pod that is
// replaced is another one, and so is a container that was restarted in its pod.
func incarnation(pod types.UID, restarts int32) string {
	return fmt.Sprintf("%s/%d", pod, restarts)
}

// runOf is the pod and the number of restarts that an incarnation was made of.
func runOf(incarnation string) (pod types.UID, restarts int32) {
	uid, digits, _ := strings.Cut(incarnation, "/")
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return types.UID(uid), 0
	}
	return types.UID(uid), int32(n)
}

// Instances implements bluegreen.Workloads. While the environment is watched,
// asking costs nothing; else it is one LIST.
func (p *Platform) Instances(ctx context.Context, env bluegreen.Environment) ([]bluegreen.Instance, error) {
	k, err := p.recall(ctx)
	if err != nil {
		return nil, err
	}
	w := p.place(k.document, env)
	pods, err := p.pods(ctx, w)
	if err != nil {
		return nil, err
	}
	return p.number(w, pods, k.ledger.Slot(env).Passed), nil
}

// number makes instances of the pods that are to stay.
func (p *Platform) number(w workload, pods []*corev1.Pod, remembered []bluegreen.InstanceRef) []bluegreen.Instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	var instances []bluegreen.Instance
	for _, pod := range p.places.assign(w.environment, staying(pods), remembered) {
		status := statusOf(pod, w.container)
		instance := bluegreen.Instance{
			ID:          fmt.Sprintf("%s-%d", w.environment, p.places.numbers[pod.UID]),
			Incarnation: incarnation(pod.UID, status.RestartCount),
			Running:     status.State.Running != nil || !hasStarted(status),
			Exit:        exitIn(pod, status),
		}
		if err := notReady(pod); err != nil {
			instance.Unready = err.Error()
		}
		instances = append(instances, instance)
	}
	return instances
}

// pods returns the pods of w, from a watch that is current or from the cluster.
func (p *Platform) pods(ctx context.Context, w workload) ([]*corev1.Pod, error) {
	if s := p.current(); s != nil {
		if seen := s.watched(w); seen != nil {
			if pods, err := seen.pods.current(); err == nil {
				return pods, nil
			}
		}
	}
	api, err := p.client.open()
	if err != nil {
		return nil, err
	}
	found, err := api.pods(p.opts.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(w.selector).String()})
	if err != nil {
		return nil, fmt.Errorf("listing the pods of %s: %w", objectName("Deployment", p.opts.Namespace, w.deployment), err)
	}
	return pointers(found.Items), nil
}

// staying drops the pods that are about to end, and those that have ended and
// were replaced already, as an eviction leaves them.
func staying(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool {
		return pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
	})
}

// statusOf is the status of the container that runs the release. It is empty
// until the kubelet has told.
func statusOf(pod *corev1.Pod, container string) corev1.ContainerStatus {
	i := slices.IndexFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == container })
	if i < 0 {
		return corev1.ContainerStatus{}
	}
	return pod.Status.ContainerStatuses[i]
}

// exitIn says how the last run of a pod's container ended, and where to look for
// it, "" where none has.
func exitIn(pod *corev1.Pod, status corev1.ContainerStatus) string {
	exit := exitOf(status)
	if exit == "" {
		return ""
	}
	if waiting := status.State.Waiting; waiting != nil {
		exit += ", " + waiting.Reason
	}
	return fmt.Sprintf("%s (pod %s, container %q)", exit, pod.Name, status.Name)
}

// exitOf says how the last run of a container ended, "" where none has.
func exitOf(status corev1.ContainerStatus) string {
	end := cmp.Or(status.State.Terminated, status.LastTerminationState.Terminated)
	if end == nil {
		return ""
	}
	return ending(end)
}

func ending(end *corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("exit status %d", end.ExitCode)
	if end.Reason != "" && end.Reason != "Error" && end.Reason != "Completed" {
		text += " (" + end.Reason + ")"
	}
	if end.Reason == "StartError" || end.Reason == "ContainerCannotRun" {
		// The container never ran; what the runtime says is all there is.
		text += ": " + firstLine(end.Message)
	}
	return text
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// ready counts the pods of w that run what slot says and are ready, as the
// Deployment's status tells. While it rolls there may be more of them than there
// should be, which is no news; a Deployment that somebody changed runs nothing of
// the release. settled is false where the status may lag behind the pods.
func ready(w workload, slot bluegreen.Slot, deployments []appsv1.Deployment) (count int, settled bool) {
	found := named(w.deployment, deployments)
	if found == nil || isLeaving(found) {
		return 0, true
	}
	container := containerOf(&found.Spec.Template, w.container)
	if slot.Release != nil && (container == nil || container.Image != slot.Release.Image) {
		return 0, true
	}
	size := sizeOf(found)
	count = min(int(found.Status.ReadyReplicas), size)
	return count, count == size
}

// count returns how many instances of env are ready. Only while they become so
// are the pods asked as well.
func (p *Platform) count(ctx context.Context, k known, env bluegreen.Environment, deployments []appsv1.Deployment) (int, error) {
	w := p.place(k.document, env)
	slot := k.ledger.Slot(env)
	count, settled := ready(w, slot, deployments)
	if settled || slot.Release == nil {
		return count, nil
	}
	pods, err := p.pods(ctx, w)
	if err != nil {
		return 0, err
	}
	up := slices.DeleteFunc(staying(pods), func(pod *corev1.Pod) bool { return notReady(pod) != nil })
	return max(count, min(len(up), slot.Release.Replicas)), nil
}

// podOf returns the pod that an instance is, maybe as it was a while ago, and the
// workload that it belongs to.
func (p *Platform) podOf(ctx context.Context, instance bluegreen.Instance) (*corev1.Pod, workload, error) {
	name, _, _ := strings.Cut(instance.ID, "-")
	env, err := bluegreen.ParseEnvironment(name)
	if err != nil {
		return nil, workload{}, fmt.Errorf("instance %q: %w", instance.ID, err)
	}
	k, err := p.recall(ctx)
	if err != nil {
		return nil, workload{}, err
	}
	w := p.place(k.document, env)
	uid, _ := runOf(instance.Incarnation)
	if pod := p.seen(uid); pod != nil {
		return pod, w, nil
	}
	pods, err := p.pods(ctx, w)
	if err != nil {
		return nil, w, err
	}
	for _, pod := range pods {
		if pod.UID == uid {
			return pod, w, nil
		}
	}
	return nil, w, fmt.Errorf("%s does not run any more as it did", instance.ID)
}

// seen returns the pod with this UID if it was numbered, else nil.
func (p *Platform) seen(uid types.UID) *corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.places.seen[uid]
}

// portOf is the port of the pod at which w serves, 0 where it has none.
func portOf(pod *corev1.Pod, w workload) int {
	if w.port.Type == intstr.Int {
		return w.port.IntValue()
	}
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == w.port.StrVal {
				return int(port.ContainerPort)
			}
		}
	}
	return 0
}
