// SPDX-License-Identifier: MPL-2.0

package kubernetes

import "github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"

// The connection to a cluster, for who opens platforms: see package cluster.
type (
	Client       = cluster.Client
	ClientConfig = cluster.Config
	ExecConfig   = cluster.ExecConfig
)

// NewClient returns a client for config. It reads no file and connects to nothing.
func NewClient(config ClientConfig) *Client { return cluster.NewClient(config) }
