// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	appsclient "k8s.io/client-go/kubernetes/typed/apps/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes"
)

// cluster is the cluster that `make testbed` starts, and what all tests use
// together on it.
var cluster struct {
	dir string
	// client is the outsiders'.
	client       *kubernetes.Client
	http         *http.Client
	core         *coreclient.CoreV1Client
	apps         *appsclient.AppsV1Client
	coordination *coordinationclient.CoordinationV1Client
	// replica has the test's service.
	replica func() (image string, err error)

	mu         sync.Mutex
	namespaces []string
}

func findKubernetes() error {
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	state := cmp.Or(os.Getenv("XDG_STATE_HOME"), filepath.Join(home, ".local", "state"))
	cluster.dir = cmp.Or(os.Getenv("BLUEGREEN_TESTBED"), filepath.Join(state, "bluegreen-testbed"))
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig())
	if err != nil {
		return err
	}
	cluster.client = kubernetes.NewClient(kubernetes.ClientConfig{ConfigPaths: []string{kubeconfig()}})
	cluster.replica = sync.OnceValues(clusterImage)
	if cluster.http, err = rest.HTTPClientFor(config); err != nil {
		return err
	}
	if cluster.core, err = coreclient.NewForConfigAndClient(config, cluster.http); err != nil {
		return err
	}
	if cluster.apps, err = appsclient.NewForConfigAndClient(config, cluster.http); err != nil {
		return err
	}
	if cluster.coordination, err = coordinationclient.NewForConfigAndClient(config, cluster.http); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	platform, err := (&kubernetesTestPlatform{namespace: metav1.NamespaceDefault}).open("web")
	if err != nil {
		return err
	}
	defer platform.Close()
	if _, err = platform.Load(ctx); errors.Is(err, bluegreen.ErrNotFound) {
		err = nil
	}
	return err
}

func kubeconfig() string { return filepath.Join(cluster.dir, "kubeconfig") }

// clusterImage puts the test's service into an image on the node, under a name
// that says what is in it.
func clusterImage() (string, error) {
	program, err := replicaProgram()
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	image := "docker.io/library/bluegreen-acceptance:" + hex.EncodeToString(sum[:6])
	output, err := exec.Command(filepath.Join(cluster.dir, "testbed"), "load-binary", image, program).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("loading the image: %w: %s", err, output)
	}
	return image, nil
}

// closeKubernetes waits until the namespaces of the tests are gone.
func closeKubernetes() error {
	defer cluster.client.Close()
	defer cluster.http.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), 2*waitLimit)
	defer cancel()
	for _, namespace := range cluster.namespaces {
		if err := awaitRemoval(ctx, namespace); err != nil {
			return fmt.Errorf("removing namespace %s: %w", namespace, err)
		}
	}
	return nil
}

func awaitRemoval(ctx context.Context, namespace string) error {
	present, err := cluster.core.Namespaces().Get(ctx, namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	watching, err := cluster.core.Namespaces().Watch(ctx, metav1.ListOptions{
		FieldSelector: "metadata.name=" + namespace, ResourceVersion: present.ResourceVersion,
	})
	if err != nil {
		return err
	}
	defer watching.Stop()
	for event := range watching.ResultChan() {
		if event.Type == watch.Deleted {
			return nil
		}
	}
	return cmp.Or(ctx.Err(), errors.New("the cluster tells no more of it"))
}

// kubernetesTestPlatform is a namespace of its own.
type kubernetesTestPlatform struct {
	namespace string
	replica   string
	// kubeconfig is the provider's.
	kubeconfig string
}

var _ platformUnderTest = (*kubernetesTestPlatform)(nil)

func claimKubernetes(t *testing.T) (name string, p *kubernetesTestPlatform) {
	t.Helper()
	replica, err := cluster.replica()
	if err != nil {
		t.Fatal(err)
	}
	p = &kubernetesTestPlatform{"bluegreen-acc-" + strings.ToLower(rand.Text()[:6]), replica, kubeconfig()}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.namespace}}
	if _, err := cluster.core.Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		found, err := p.leftovers(ctx)
		if err != nil || len(found) > 0 {
			t.Errorf("left are %v: %v", found, err)
		}
		if err := cluster.core.Namespaces().Delete(ctx, p.namespace, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		cluster.mu.Lock()
		defer cluster.mu.Unlock()
		cluster.namespaces = append(cluster.namespaces, p.namespace)
	})
	return "web", p
}

func (p *kubernetesTestPlatform) providerBlock() string {
	return fmt.Sprintf("kubernetes = { config_path = %q }", p.kubeconfig)
}

func (p *kubernetesTestPlatform) settings() attributes {
	return attributes{"kubernetes": fmt.Sprintf("{ port = %d, namespace = %q }", servicePort, p.namespace)}
}

func (p *kubernetesTestPlatform) dataBlock() string {
	return fmt.Sprintf("kubernetes = { namespace = %q }", p.namespace)
}

func (p *kubernetesTestPlatform) image() string { return p.replica }

func (p *kubernetesTestPlatform) id(name string) string { return p.namespace + "/" + name }

func (p *kubernetesTestPlatform) open(name string) (openPlatform, error) {
	return kubernetes.New(cluster.client, kubernetes.Options{
		Namespace:      p.namespace,
		Name:           name,
		PodSettings:    kubernetes.PodSettings{Port: servicePort},
		DrainTimeout:   time.Second,
		RecycleStandby: true,
	})
}

// dial finds a Service by its name, as the cluster's DNS would. The node reaches
// what clients in the cluster reach.
func (p *kubernetesTestPlatform) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	name, found := strings.CutSuffix(host, "."+p.namespace+".svc")
	if !found {
		return nil, fmt.Errorf("%s is no name of a Service in %s", host, p.namespace)
	}
	service, err := cluster.core.Services(p.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if want := strconv.Itoa(int(service.Spec.Ports[0].Port)); port != want {
		return nil, fmt.Errorf("the Service %s has the port %s, not %s", name, want, port)
	}
	// Until the rules of the node follow, a connection may go to a pod that is gone. It
	// gets no answer there, so it ends early and the caller opens another one.
	return (&net.Dialer{Timeout: waitLimit / 20}).DialContext(
		ctx,
		network,
		net.JoinHostPort(service.Spec.ClusterIP, port),
	)
}

// switchDelay is not zero because kube-proxy writes the node's rules about a second after
// the endpoints have changed.
func (p *kubernetesTestPlatform) switchDelay() time.Duration { return waitLimit }

// expireLock makes the lease of a dead holder run out at once.
func (p *kubernetesTestPlatform) expireLock(ctx context.Context, name string) error {
	leases := cluster.coordination.Leases(p.namespace)
	lease, err := leases.Get(ctx, name+"-bluegreen", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	long := metav1.NewMicroTime(time.Now().Add(-time.Hour))
	lease.Spec.RenewTime = &long
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}

// leftovers lists all objects in the namespace but the pods, which take their time to go.
func (p *kubernetesTestPlatform) leftovers(ctx context.Context) (found []string, err error) {
	services, err := cluster.core.Services(p.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, s := range services.Items {
		found = append(found, "Service "+s.Name)
	}
	deployments, err := cluster.apps.Deployments(p.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, d := range deployments.Items {
		found = append(found, "Deployment "+d.Name)
	}
	leases, err := cluster.coordination.Leases(p.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, l := range leases.Items {
		found = append(found, "Lease "+l.Name)
	}
	return found, nil
}
