// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// component is a program of the cluster with its configuration.
type component struct {
	name  string
	args  []string          // the program is the first
	files map[string]string // its configuration: path → content
	// probe returns an error unless the component is healthy.
	probe func(context.Context) error
}

// stages returns all components. A component needs those of the stages before its own.
func (c *cluster) stages() ([][]component, error) {
	containerd, err := c.containerd()
	if err != nil {
		return nil, err
	}
	kubelet, err := c.kubelet()
	if err != nil {
		return nil, err
	}
	return [][]component{
		{c.etcd(), containerd},
		{c.apiserver()},
		{c.controllerManager(), c.scheduler(), kubelet, c.proxy()},
	}, nil
}

func (c *cluster) etcd() component {
	client, peer := "https://"+c.Local(c.Ports.Etcd), "http://"+c.Local(c.Ports.EtcdPeer)
	return component{
		name: "etcd",
		args: []string{"etcd",
			"--name=testbed",
			"--data-dir=" + c.Path("etcd", "data"),
			// The data need not survive a power failure.
			"--unsafe-no-fsync",
			"--log-level=warn",
			"--listen-client-urls=" + client,
			"--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer,
			"--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=testbed=" + peer,
			"--client-cert-auth",
			"--trusted-ca-file=" + c.Certificate,
			"--cert-file=" + c.Certificate,
			"--key-file=" + c.Key,
		},
		probe: c.probeURL(client + "/health"),
	}
}

func (c *cluster) containerd() (component, error) {
	config, err := render("containerd.toml", c)
	if err != nil {
		return component{}, err
	}
	cni, err := render("cni.conflist", c)
	if err != nil {
		return component{}, err
	}
	file := c.Path("containerd", "config.toml")
	return component{
		name:  "containerd",
		args:  []string{"containerd", "--config=" + file},
		files: map[string]string{file: config, c.Path("containerd", "cni", "testbed.conflist"): cni},
		probe: func(ctx context.Context) error {
			_, err := c.ctr(ctx, nil, "version")
			return err
		},
	}, nil
}

func (c *cluster) apiserver() component {
	return component{
		name: "kube-apiserver",
		args: []string{filepath.Join(c.Binaries, "kube-apiserver"),
			"--bind-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", c.Ports.APIServer),
			"--advertise-address=" + c.NodeAddress,
			"--tls-cert-file=" + c.Certificate,
			"--tls-private-key-file=" + c.Key,
			"--etcd-servers=https://" + c.Local(c.Ports.Etcd),
			"--etcd-cafile=" + c.Certificate,
			"--etcd-certfile=" + c.Certificate,
			"--etcd-keyfile=" + c.Key,
			"--token-auth-file=" + c.Tokens,
			"--authorization-mode=RBAC",
			// The pods need no token. Without the plugin they start without waiting for one.
			"--disable-admission-plugins=ServiceAccount",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + c.Certificate,
			"--service-account-signing-key-file=" + c.Key,
			"--service-cluster-ip-range=" + c.ServiceNetwork,
			"--kubelet-preferred-address-types=InternalIP",
			"--kubelet-certificate-authority=" + c.Certificate,
			"--kubelet-client-certificate=" + c.Certificate,
			"--kubelet-client-key=" + c.Key,
		},
		probe: c.probeURL(c.api("/readyz")),
	}
}

func (c *cluster) controllerManager() component {
	return component{
		name: "kube-controller-manager",
		args: []string{filepath.Join(c.Binaries, "kube-controller-manager"),
			"--kubeconfig=" + c.Kubeconfig,
			"--leader-elect=false",
			"--bind-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", c.Ports.ControllerManager),
			"--tls-cert-file=" + c.Certificate,
			"--tls-private-key-file=" + c.Key,
			"--service-account-private-key-file=" + c.Key,
			"--root-ca-file=" + c.Certificate,
			"--flex-volume-plugin-dir=" + c.Path("kubelet", "volume-plugins"),
			// Twenty pods at the same time must not wait for a rate limit.
			"--kube-api-qps=200",
			"--kube-api-burst=400",
			// There is no other node for the pods. They stay ready while the node cannot
			// report, for example because the API server is stopped or the machine is busy.
			"--node-monitor-grace-period=10m",
		},
		probe: c.probeURL("https://" + c.Local(c.Ports.ControllerManager) + "/healthz"),
	}
}

func (c *cluster) scheduler() component {
	return component{
		name: "kube-scheduler",
		args: []string{filepath.Join(c.Binaries, "kube-scheduler"),
			"--kubeconfig=" + c.Kubeconfig,
			"--leader-elect=false",
			"--bind-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", c.Ports.Scheduler),
			"--tls-cert-file=" + c.Certificate,
			"--tls-private-key-file=" + c.Key,
		},
		probe: c.probeURL("https://" + c.Local(c.Ports.Scheduler) + "/healthz"),
	}
}

func (c *cluster) kubelet() (component, error) {
	config, err := render("kubelet.yaml", c)
	if err != nil {
		return component{}, err
	}
	file := c.Path("kubelet", "config.yaml")
	return component{
		name: "kubelet",
		args: []string{filepath.Join(c.Binaries, "kubelet"),
			"--config=" + file,
			"--kubeconfig=" + c.Kubeconfig,
			"--hostname-override=" + c.Node,
			"--node-ip=" + c.NodeAddress,
			"--root-dir=" + c.Path("kubelet", "root"),
		},
		files: map[string]string{file: config},
		probe: c.probeURL("http://" + c.Local(c.Ports.KubeletHealth) + "/healthz"),
	}, nil
}

func (c *cluster) proxy() component {
	return component{
		name: "kube-proxy",
		args: []string{filepath.Join(c.Binaries, "kube-proxy"),
			"--kubeconfig=" + c.Kubeconfig,
			"--hostname-override=" + c.Node,
			"--proxy-mode=iptables",
			"--nodeport-addresses=127.0.0.0/8",
			// The machine's limits of connection tracking are not changed.
			"--conntrack-max-per-core=0",
			"--conntrack-tcp-timeout-established=0s",
			"--conntrack-tcp-timeout-close-wait=0s",
			"--healthz-bind-address=" + c.Local(c.Ports.ProxyHealth),
			"--metrics-bind-address=" + c.Local(c.Ports.ProxyMetrics),
		},
		probe: c.probeURL("http://" + c.Local(c.Ports.ProxyHealth) + "/healthz"),
	}
}
