// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"bytes"
	"embed"
	"fmt"
	"path/filepath"
	"text/template"
)

// layout holds the paths, addresses and ports of the cluster. The templates in config/ use
// it too.
type layout struct {
	// Dir is the state directory, which is removed with the cluster. Binaries is the
	// directory of the built programs, which stays.
	Dir, Binaries string

	Certificate, Key string // of the node; the certificate signs itself
	Tokens           string // of the users of the API
	Kubeconfig       string // of the administrator
	LimitedConfig    string // of a user who may do nothing
	Environment      string // what a shell needs in order to use kubectl and ctr
	ContainerdSocket string

	Node, NodeAddress, Bridge, BridgeAddress, BridgeHardware string
	PodNetwork, ServiceNetwork, DNSAddress                   string
	CNIPlugins, PauseImage                                   string

	Ports ports
}

// ports are the ports that the cluster listens on. All but the kubelet's are on loopback.
// They are below the ranges of clients and NodePorts.
type ports struct {
	Etcd, EtcdPeer, APIServer, ControllerManager, Scheduler int
	Kubelet, KubeletHealth, ProxyHealth, ProxyMetrics       int
}

// newLayout returns the layout of a cluster in dir. Its networks are in the range that RFC
// 2544 reserves for test beds, so that they do not overlap with other networks. The pods are
// on one bridge. Its address is the node's address, because logs, exec and port-forward need
// one that is not on loopback.
func newLayout(dir, binaries string) layout {
	return layout{
		Dir: dir, Binaries: binaries,

		Certificate:      filepath.Join(dir, "pki", "node.crt"),
		Key:              filepath.Join(dir, "pki", "node.key"),
		Tokens:           filepath.Join(dir, "pki", "tokens.csv"),
		Kubeconfig:       filepath.Join(dir, "kubeconfig"),
		LimitedConfig:    filepath.Join(dir, "kubeconfig-limited"),
		Environment:      filepath.Join(dir, "env"),
		ContainerdSocket: filepath.Join(dir, "containerd", "containerd.sock"),

		Node: "testbed", NodeAddress: "198.18.0.1",
		Bridge: "bgtestbed0", BridgeAddress: "198.18.0.1/20", BridgeHardware: "02:00:c6:12:00:01",
		PodNetwork: "198.18.0.0/20", ServiceNetwork: "198.19.0.0/20", DNSAddress: "198.19.0.10",
		CNIPlugins: "/usr/lib/cni", PauseImage: "docker.io/library/bluegreen-testbed-pause:1",

		Ports: ports{
			Etcd: 26379, EtcdPeer: 26380, APIServer: 26443, ControllerManager: 26257, Scheduler: 26259,
			Kubelet: 26250, KubeletHealth: 26248, ProxyHealth: 26256, ProxyMetrics: 26249,
		},
	}
}

// Path returns a path below the state directory.
func (l layout) Path(elements ...string) string {
	return filepath.Join(append([]string{l.Dir}, elements...)...)
}

// Local returns a port on loopback as the host of a URL.
func (l layout) Local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

//go:embed config
var configuration embed.FS

// render fills in the template config/NAME.
func render(name string, data any) (string, error) {
	parsed, err := template.ParseFS(configuration, "config/"+name)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, data); err != nil {
		return "", err
	}
	return text.String(), nil
}
