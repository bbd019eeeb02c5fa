// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// replicaPort is where the pods of the tests listen.
const replicaPort = 8000

func TestConformance(t *testing.T) {
	t.Parallel()
	checker, err := health.New(health.Config{Interval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	platformtest.Run(t, &lab{testbed: theTestbed, image: theTestbed.replicaImage(t), checker: checker})
}

// lab is the cluster as the conformance suite sees it.
type lab struct {
	*testbed
	image   string
	checker bluegreen.Checker
}

var _ platformtest.Harness = (*lab)(nil)

func (l *lab) open(t testing.TB, deployment string) *Platform {
	t.Helper()
	p, err := New(l.client, Options{
		Namespace: l.namespace, Name: deployment, PodSettings: PodSettings{Port: replicaPort},
		DrainTimeout: time.Second, RecycleStandby: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (l *lab) Open(t testing.TB, deployment string) platformtest.Process {
	p := l.open(t, deployment)
	return platformtest.Process{Platform: p, Kill: func() { l.kill(t, p) }}
}

// kill ends what runs in the background, as the end of the process would, and
// lets the time pass in which its lease runs out.
func (l *lab) kill(t testing.TB, p *Platform) {
	s := p.current()
	p.Close()
	if s == nil {
		return
	}
	ctx := context.WithoutCancel(t.Context())
	long := metav1.NewMicroTime(l.api.clock.now().Add(-2 * leaseTime))
	lease := s.lease.object.DeepCopy()
	lease.Spec.RenewTime = &long
	_, err := l.api.leases(l.namespace).Update(ctx, lease, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Errorf("making the lease of a dead process run out: %v", err)
	}
}

func (l *lab) Release(version string, behaviour platformtest.Behaviour) bluegreen.Release {
	return bluegreen.Release{
		Version: version, Image: l.image, Replicas: 2,
		Env: map[string]string{"BEHAVIOUR": string(behaviour), "PATH": "/"},
	}
}

func (l *lab) Checker() bluegreen.Checker { return l.checker }

// Serves asks one of the Service's endpoints, once they are those that its
// selector says.
func (l *lab) Serves(t testing.TB, deployment string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	service, err := l.api.services(l.namespace).Get(ctx, deployment, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	p := l.open(t, deployment)
	s := p.newSession(ctx, l.api)
	defer s.end()
	slices := s.endpoints(deployment)
	pods := follow(s.ctx, &s.running, podsOf(l.api, l.namespace, workload{selector: service.Spec.Selector}), s.bell)
	address := ""
	if err := s.bell.await(ctx, func() (bool, time.Duration, error) {
		found, err := slices.current()
		if err != nil {
			return false, 0, err
		}
		selected, err := pods.current()
		if err != nil {
			return false, 0, err
		}
		address = firstAddress(found)
		missing := elsewhere(found, selected)
		return missing == "" || (address == "" && !anyReady(selected)), 0, nil
	}); err != nil {
		t.Fatalf("the endpoints of %s never were what it selects: %v", deployment, err)
	}
	if address == "" {
		return ""
	}
	return l.get(t, net.JoinHostPort(address, strconv.Itoa(replicaPort)))
}

func anyReady(pods []*corev1.Pod) bool {
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && notReady(pod) == nil {
			return true
		}
	}
	return false
}

func firstAddress(slices []*discoveryv1.EndpointSlice) string {
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				return endpoint.Addresses[0]
			}
		}
	}
	return ""
}

// client opens a connection for every request, as a new visitor does.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

// get returns what a client is answered with, "" when that is no success.
func (l *lab) get(t testing.TB, address string) string {
	t.Helper()
	answer, err := ask(client, "http://"+address+"/")
	if err != nil && !errors.Is(err, errNoSuccess) {
		t.Fatalf("a client got no answer: %v", err)
	}
	return answer
}

func ask(c *http.Client, url string) (string, error) {
	response, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("half an answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%w: %s: %s", errNoSuccess, response.Status, content)
	}
	return string(content), nil
}

// errNoSuccess is an answer that tells of a failure.
var errNoSuccess = errors.New("answered without success")

func (l *lab) MakeUnhealthy(t testing.TB, deployment string, env bluegreen.Environment) {
	t.Helper()
	for _, address := range l.replicas(t, deployment, env) {
		if _, err := ask(client, address+"/sicken"); err != nil {
			t.Fatal(err)
		}
	}
}

func (l *lab) Crash(t testing.TB, deployment string, env bluegreen.Environment) {
	t.Helper()
	for _, address := range l.replicas(t, deployment, env) {
		// It has no time to answer.
		_, _ = ask(client, address+"/exit")
	}
}

// replicas returns where the pods of an environment are reached.
func (l *lab) replicas(t testing.TB, deployment string, env bluegreen.Environment) (addresses []string) {
	t.Helper()
	pods, err := l.api.pods(l.namespace).List(t.Context(), metav1.ListOptions{
		LabelSelector: labels.SelectorFromSet(podLabels(deployment, env.String())).String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		addresses = append(addresses, "http://"+net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(replicaPort)))
	}
	return addresses
}
