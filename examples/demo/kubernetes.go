// SPDX-License-Identifier: MPL-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// kubernetesPlatform runs the service as pods on the cluster that `make testbed` starts.
// It uses no other cluster, because the user's kubeconfig may be for one in production, and
// because only the test bed accepts an image without a registry.
type kubernetesPlatform struct {
	// dir is the directory of the test bed.
	dir string
	// namespace belongs to the demo alone.
	namespace string
	image     string
}

var _ platform = (*kubernetesPlatform)(nil)

func newKubernetesPlatform(name string) (*kubernetesPlatform, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	state := cmp.Or(os.Getenv("XDG_STATE_HOME"), filepath.Join(home, ".local", "state"))
	dir := cmp.Or(os.Getenv("BLUEGREEN_TESTBED"), filepath.Join(state, "bluegreen-testbed"))
	return &kubernetesPlatform{dir, name, "docker.io/library/" + name + ":demo"}, nil
}

func (p *kubernetesPlatform) checkPrerequisites(ctx context.Context) error {
	for _, program := range []string{"kubectl", "ctr"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("missing: %s is not in PATH", program)
		}
	}
	if _, err := os.Stat(p.kubeconfig()); err != nil {
		return errors.New("missing: the cluster of `make testbed` (Linux, root)")
	}
	if _, err := p.kubectl(ctx, "get", "--raw", "/readyz"); err != nil {
		return fmt.Errorf("missing: the cluster of `make testbed` does not answer: %w", err)
	}
	return nil
}

func (p *kubernetesPlatform) buildImage(ctx context.Context, program string) (string, error) {
	if _, err := p.kubectl(ctx, "create", "namespace", p.namespace); err != nil {
		return "", err
	}
	_, err := run(ctx, nil, filepath.Join(p.dir, "testbed"), "load-binary", p.image, program)
	return p.image, err
}

func (p *kubernetesPlatform) environment() []string {
	return []string{"KUBE_CONFIG_PATH=" + p.kubeconfig()}
}

// clientURL returns the URL of the NodePort, which the test bed has on 127.0.0.1. The
// endpoint is only for clients in the cluster. The NodePort answers about a second after
// the Service was created.
func (p *kubernetesPlatform) clientURL(ctx context.Context, _ string) (string, error) {
	port, err := p.kubectl(ctx, "--namespace", p.namespace, "get", "service", p.namespace,
		"--output", "jsonpath={.spec.ports[0].nodePort}")
	if err != nil {
		return "", err
	}
	url := "http://127.0.0.1:" + port
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := get(client, url)
		if err == nil {
			return url, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", fmt.Errorf("nothing answers at the NodePort: %w", err)
		}
	}
}

// observationTime is longer than kube-proxy takes to follow a switch, about a second.
func (p *kubernetesPlatform) observationTime() time.Duration { return 3 * time.Second }

// clean removes the namespace and the image. It waits until the last pod has ended.
func (p *kubernetesPlatform) clean(ctx context.Context) error {
	_, err := p.kubectl(ctx, "delete", "namespace", p.namespace, "--ignore-not-found")
	containerd := []string{
		"CONTAINERD_ADDRESS=" + filepath.Join(p.dir, "containerd", "containerd.sock"),
		"CONTAINERD_NAMESPACE=k8s.io",
	}
	_, removal := run(ctx, containerd, "ctr", "images", "rm", p.image)
	return errors.Join(err, removal)
}

func (p *kubernetesPlatform) kubeconfig() string { return filepath.Join(p.dir, "kubeconfig") }

func (p *kubernetesPlatform) kubectl(ctx context.Context, args ...string) (string, error) {
	return run(ctx, []string{"KUBECONFIG=" + p.kubeconfig()}, "kubectl", args...)
}
