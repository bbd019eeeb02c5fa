// SPDX-License-Identifier: MPL-2.0

package kubernetes

import "github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"

// These types of package cluster are part of this package's API.
type (
	// Client is the connection to a cluster. Several platforms can share it.
	Client = cluster.Client
	// ClientConfig says how the cluster is reached.
	ClientConfig = cluster.Config
	// ExecConfig names a program that returns credentials for the cluster.
	ExecConfig = cluster.ExecConfig
)

// NewClient returns a client for config. It reads no file and connects to nothing.
func NewClient(config ClientConfig) *Client { return cluster.NewClient(config) }
