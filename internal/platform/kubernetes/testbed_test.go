// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	appsv1client "k8s.io/client-go/kubernetes/typed/apps/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// testbed is the cluster that `make testbed` starts; see tools/testbed.
type testbed struct {
	dir    string
	client *Client
	api    *api
	// core and apps are for what a deployment is not made of.
	core      corev1client.CoreV1Interface
	apps      appsv1client.AppsV1Interface
	namespace string
	image     func() (string, error)
}

// theTestbed is nil where there is none.
var theTestbed *testbed

func findTestbed() (*testbed, error) {
	dir := os.Getenv("BLUEGREEN_TESTBED")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(home, ".local", "state", "bluegreen-testbed")
		if state := os.Getenv("XDG_STATE_HOME"); state != "" {
			dir = filepath.Join(state, "bluegreen-testbed")
		}
	}
	b := &testbed{dir: dir, namespace: "bluegreen-test-" + strings.ToLower(rand.Text()[:6])}
	b.client = NewClient(b.settings())
	b.image = sync.OnceValues(b.makeImage)
	var err error
	if b.api, err = b.client.open(); err != nil {
		return nil, err
	}
	if b.core, err = corev1client.NewForConfigAndClient(b.api.config, b.api.http); err != nil {
		return nil, err
	}
	if b.apps, err = appsv1client.NewForConfigAndClient(b.api.config, b.api.http); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = b.core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace}}, metav1.CreateOptions{})
	return b, err
}

func (b *testbed) settings() ClientConfig {
	return ClientConfig{ConfigPaths: []string{filepath.Join(b.dir, "kubeconfig")}}
}

// close removes everything that the tests made, and returns 1 when it cannot.
func (b *testbed) close() int {
	defer b.client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := b.removeNamespace(ctx, b.namespace); err != nil {
		fmt.Printf("removing the namespace of the tests, %s: %v\n", b.namespace, err)
		return 1
	}
	return 0
}

// makeNamespace makes another namespace for a test.
func makeNamespace(t testing.TB, namespace *corev1.Namespace) (remove func()) {
	t.Helper()
	if _, err := theTestbed.core.Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := theTestbed.removeNamespace(ctx, namespace.Name); err != nil {
			t.Error(err)
		}
	}
}

func (b *testbed) removeNamespace(ctx context.Context, name string) error {
	namespaces := b.core.Namespaces()
	if err := namespaces.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := follow(ctx, &running, source[*corev1.Namespace]{
		options: metav1.ListOptions{FieldSelector: "metadata.name=" + name},
		list: func(ctx context.Context, options metav1.ListOptions) ([]*corev1.Namespace, string, error) {
			found, err := namespaces.List(ctx, options)
			if err != nil {
				return nil, "", err
			}
			return pointers(found.Items), found.ResourceVersion, nil
		},
		watch: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return namespaces.Watch(ctx, options)
		},
	}, newBell())
	return left.bell.await(ctx, func() (bool, time.Duration, error) {
		found, err := left.current()
		return err == nil && len(found) == 0, 0, err
	})
}

// command runs a command of the test bed.
func (b *testbed) command(ctx context.Context, args ...string) error {
	output, err := exec.CommandContext(ctx, filepath.Join(b.dir, "testbed"), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("testbed %s: %w\n%s", strings.Join(args, " "), err, output)
	}
	return nil
}

// makeImage puts the replica into an image of its own on the node.
func (b *testbed) makeImage() (string, error) {
	dir, err := os.MkdirTemp("", "bluegreen-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "replica")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./replica")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the replica: %w\n%s", err, output)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	files := []string{program}
	for _, name := range []string{"true", "false"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o700); err != nil {
			return "", err
		}
		files = append(files, path)
	}
	sum := sha256.Sum256(content)
	image := "docker.io/library/bluegreen-replica:" + hex.EncodeToString(sum[:6])
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return image, b.command(ctx, append([]string{"load-binary", image}, files...)...)
}

// replicaImage returns the name of the image on the node.
func (b *testbed) replicaImage(t testing.TB) string {
	t.Helper()
	image, err := b.image()
	if err != nil {
		t.Fatal(err)
	}
	return image
}
