// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// session is what runs in the background while the lock is held, or while a
// method without it waits for something.
type session struct {
	api  *api
	opts Options
	// lease is nil without the lock.
	lease *lease
	// recycled is the live record for whose sake the standby was recycled, "" for none.
	recycled string

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	bell    *bell

	mu     sync.Mutex
	sights map[string]*sight
	// slices are followed of each Service by its name.
	slices  map[string]*follower[*discoveryv1.EndpointSlice]
	tunnels tunnels
}

// newSession outlives the call that began it.
func (p *Platform) newSession(ctx context.Context, api *api) *session {
	s := &session{api: api, opts: p.opts, bell: newBell(), sights: map[string]*sight{}, slices: map[string]*follower[*discoveryv1.EndpointSlice]{}}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

// writer is the api for the next write, or an error once the lock is lost. It is
// asked for immediately before each write, after that was looked at which the
// write depends on: what was so while the lock was held, and has not changed
// since, is not what another holder has made of it.
func (s *session) writer(ctx context.Context) (*api, error) {
	return s.api, s.lease.held(ctx)
}

// end returns when nothing of the session runs any more.
func (s *session) end() {
	s.cancel()
	s.tunnels.close()
	s.running.Wait()
}

// sight is what can be seen of an environment: its Deployment and its pods.
type sight struct {
	workload    workload
	deployments *follower[*appsv1.Deployment]
	pods        *follower[*corev1.Pod]
}

// ending reports whether pods are on their way out.
func (s *sight) ending() bool {
	pods, err := s.pods.current()
	return err == nil && slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return pod.DeletionTimestamp != nil })
}

// workload is where an environment runs.
type workload struct {
	environment bluegreen.Environment
	// deployment is the Deployment's name.
	deployment string
	// selector are the labels of its pods.
	selector map[string]string
	// container runs the release, and port of it is where clients are served. It
	// is a name where every release may have a port of its own.
	container string
	port      intstr.IntOrString
}

// workload returns where env runs, an adopted Deployment aside.
func (o Options) workload(env bluegreen.Environment) workload {
	return workload{env, workloadName(o.Name, env), podLabels(o.Name, env.String()), o.Name, intstr.FromString(portName)}
}

// watch follows the environment that w is, from now on.
func (s *session) watch(w workload) *sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.sights[w.deployment]
	if seen == nil {
		seen = &sight{
			workload:    w,
			deployments: follow(s.ctx, &s.running, deploymentsOf(s.api, s.opts.Namespace, w), s.bell),
			pods:        follow(s.ctx, &s.running, podsOf(s.api, s.opts.Namespace, w), s.bell),
		}
		s.sights[w.deployment] = seen
	}
	return seen
}

// endpoints follows the EndpointSlices of a Service, from now on.
func (s *session) endpoints(service string) *follower[*discoveryv1.EndpointSlice] {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.slices[service]
	if seen == nil {
		seen = follow(s.ctx, &s.running, endpointsOf(s.api, s.opts.Namespace, service), s.bell)
		s.slices[service] = seen
	}
	return seen
}

// watched returns the sight of w if there is one.
func (s *session) watched(w workload) *sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sights[w.deployment]
}

// deployment returns the environment's Deployment, nil where there is none.
func (v *sight) deployment() (*appsv1.Deployment, error) {
	found, err := v.deployments.current()
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// now returns the environment's Deployment and the pods that are to stay.
func (v *sight) now() (*appsv1.Deployment, []*corev1.Pod, error) {
	deployment, err := v.deployment()
	if err != nil {
		return nil, nil, err
	}
	pods, err := v.pods.current()
	return deployment, staying(pods), err
}

func deploymentsOf(a *api, namespace string, w workload) source[*appsv1.Deployment] {
	client := a.deployments(namespace)
	return source[*appsv1.Deployment]{
		options: metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, w.deployment).String()},
		list:    listing(client.List, func(found *appsv1.DeploymentList) []appsv1.Deployment { return found.Items }),
		watch:   client.Watch,
	}
}

func podsOf(a *api, namespace string, w workload) source[*corev1.Pod] {
	client := a.pods(namespace)
	return source[*corev1.Pod]{
		options: metav1.ListOptions{LabelSelector: labels.SelectorFromSet(w.selector).String()},
		list:    listing(client.List, func(found *corev1.PodList) []corev1.Pod { return found.Items }),
		watch:   client.Watch,
	}
}

func endpointsOf(a *api, namespace, service string) source[*discoveryv1.EndpointSlice] {
	client := a.endpointSlices(namespace)
	return source[*discoveryv1.EndpointSlice]{
		options: metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service},
		list:    listing(client.List, func(found *discoveryv1.EndpointSliceList) []discoveryv1.EndpointSlice { return found.Items }),
		watch:   client.Watch,
	}
}

// listing makes of a client's List what a source lists with.
func listing[L metav1.ListInterface, T any](list func(context.Context, metav1.ListOptions) (L, error), items func(L) []T) func(context.Context, metav1.ListOptions) ([]*T, string, error) {
	return func(ctx context.Context, options metav1.ListOptions) ([]*T, string, error) {
		found, err := list(ctx, options)
		if err != nil {
			return nil, "", err
		}
		return pointers(items(found)), found.GetResourceVersion(), nil
	}
}
