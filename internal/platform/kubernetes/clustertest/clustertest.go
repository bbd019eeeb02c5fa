// SPDX-License-Identifier: MPL-2.0

package clustertest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Cluster is the test bed; see tools/testbed.
type Cluster struct {
	// Dir is where the test bed keeps its files.
	Dir string
	// Config and HTTP are for clients that a test uses in addition to the ones under
	// test.
	Config *rest.Config
	HTTP   *http.Client
	Core   corev1client.CoreV1Interface
	// Namespace is created for the tests of this process, and removed when they are over.
	Namespace string
	image     func() (string, error)
}

// onCluster matches the tests that need a cluster.
const onCluster = "^(TestCluster|TestConformance|BenchmarkCluster)"

// Main runs the tests of a package and returns its exit code. Before that it calls setUp
// with the cluster. If there is no cluster, it does not call setUp, skips the tests that
// need a cluster, and prints a line that says so. If BLUEGREEN_REQUIRE_KUBERNETES is set,
// a missing cluster is a failure.
func Main(m *testing.M, setUp func(*Cluster) (tearDown func(), err error)) int {
	flag.Parse()
	c, err := find()
	if err != nil {
		fmt.Println("the Kubernetes platform is NOT TESTED on a cluster (`make testbed` starts one):", err)
		if os.Getenv("BLUEGREEN_REQUIRE_KUBERNETES") != "" {
			return 1
		}
		err = flag.Set("test.skip", onCluster)
		c = nil
	} else {
		err = setParallel()
	}
	tearDown := func() {}
	if err == nil && c != nil {
		tearDown, err = setUp(c)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	code := m.Run()
	tearDown()
	if c != nil {
		code = max(code, c.close())
	}
	if err := findLeakedGoroutines(); code == 0 && err != nil {
		fmt.Println(err)
		code = 1
	}
	return code
}

// findLeakedGoroutines returns an error about goroutines that do not end. It waits for
// them, because spdystream, and with it a tunnel that was given up, waits half a minute
// for the answer to a stream.
func findLeakedGoroutines() error {
	limit := time.Now().Add(time.Minute)
	err := goleak.Find()
	for err != nil && time.Now().Before(limit) {
		err = goleak.Find()
	}
	return err
}

// defaultParallel is how many tests run at the same time, unless -parallel says
// otherwise. They wait for the cluster most of the time.
const defaultParallel = "4"

func setParallel() error {
	isGiven := false
	flag.Visit(func(f *flag.Flag) { isGiven = isGiven || f.Name == "test.parallel" })
	if isGiven {
		return nil
	}
	return flag.Set("test.parallel", defaultParallel)
}

func find() (*Cluster, error) {
	dir, err := stateDir()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, Namespace: "bluegreen-test-" + strings.ToLower(rand.Text()[:6])}
	c.image = sync.OnceValues(c.loadReplica)
	if c.Config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig()); err != nil {
		return nil, err
	}
	// client-go would allow 5 requests a second.
	c.Config.QPS, c.Config.Burst = 100, 200
	if c.HTTP, err = rest.HTTPClientFor(c.Config); err != nil {
		return nil, err
	}
	if c.Core, err = corev1client.NewForConfigAndClient(c.Config, c.HTTP); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.Namespace}}
	_, err = c.Core.Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	return c, err
}

// stateDir returns where the test bed keeps its files.
func stateDir() (string, error) {
	if dir := os.Getenv("BLUEGREEN_TESTBED"); dir != "" {
		return dir, nil
	}
	if state := os.Getenv("XDG_STATE_HOME"); state != "" {
		return filepath.Join(state, "bluegreen-testbed"), nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state", "bluegreen-testbed"), err
}

// Kubeconfig returns the path of the kubeconfig of the administrator.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.Dir, "kubeconfig") }

// LimitedKubeconfig returns the path of the kubeconfig of a user who may do only what a
// test grants.
func (c *Cluster) LimitedKubeconfig() string { return filepath.Join(c.Dir, "kubeconfig-limited") }

// close removes everything that the tests created. It returns 1 if it cannot.
func (c *Cluster) close() int {
	defer utilnet.CloseIdleConnectionsFor(c.HTTP.Transport)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := c.removeNamespace(ctx, c.Namespace); err != nil {
		fmt.Printf("removing the namespace of the tests, %s: %v\n", c.Namespace, err)
		return 1
	}
	return 0
}

// CreateNamespace creates another namespace for a test, and removes it with the test.
func (c *Cluster) CreateNamespace(t testing.TB, name string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := c.Core.Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := c.removeNamespace(ctx, name); err != nil {
			t.Error(err)
		}
	})
}

// removeNamespace returns when the namespace is gone.
func (c *Cluster) removeNamespace(ctx context.Context, name string) error {
	namespaces := c.Core.Namespaces()
	if err := namespaces.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	for {
		found, err := namespaces.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		watching, err := namespaces.Watch(ctx, metav1.ListOptions{
			FieldSelector: "metadata.name=" + name, ResourceVersion: found.ResourceVersion,
		})
		if err != nil {
			return err
		}
		for event := range watching.ResultChan() {
			if event.Type == watch.Deleted {
				break
			}
		}
		watching.Stop()
	}
}

// Run runs a command of the test bed.
func (c *Cluster) Run(ctx context.Context, args ...string) error {
	output, err := exec.CommandContext(ctx, filepath.Join(c.Dir, "testbed"), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("testbed %s: %w\n%s", strings.Join(args, " "), err, output)
	}
	return nil
}

// Image returns the name of the test service's image on the node. The package replica is
// the test service.
func (c *Cluster) Image(t testing.TB) string {
	t.Helper()
	image, err := c.image()
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// replicaPackage is the import path of the test service.
const replicaPackage = "github.com/bluegreen/terraform-provider-bluegreen/" +
	"internal/platform/kubernetes/clustertest/replica"

// loadReplica builds the test service and puts it into an image of its own on the node.
func (c *Cluster) loadReplica() (string, error) {
	dir, err := os.MkdirTemp("", "bluegreen-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	files, sum, err := buildReplica(dir)
	if err != nil {
		return "", err
	}
	image := "docker.io/library/bluegreen-replica:" + sum
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return image, c.Run(ctx, append([]string{"load-binary", image}, files...)...)
}

// MoveTag puts another image of the test service on the node under this tag. Each build
// is another image.
func (c *Cluster) MoveTag(t testing.TB, image, build string) {
	t.Helper()
	dir := t.TempDir()
	files, _, err := buildReplica(dir)
	if err != nil {
		t.Fatal(err)
	}
	extra := filepath.Join(dir, build)
	if err := os.WriteFile(extra, []byte(build), 0o600); err != nil {
		t.Fatal(err)
	}
	files = append(files, extra)
	if err := c.Run(t.Context(), append([]string{"load-binary", image}, files...)...); err != nil {
		t.Fatal(err)
	}
}

// buildReplica builds the test service and its commands in dir. It returns their paths and
// a part of their digest.
func buildReplica(dir string) (files []string, sum string, err error) {
	program := filepath.Join(dir, "replica")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, replicaPackage)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, "", fmt.Errorf("building the replica: %w\n%s", err, output)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, "", err
	}
	files = []string{program}
	for _, name := range []string{"true", "false"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o700); err != nil {
			return nil, "", err
		}
		files = append(files, path)
	}
	digest := sha256.Sum256(content)
	return files, hex.EncodeToString(digest[:6]), nil
}
