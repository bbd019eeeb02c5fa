// SPDX-License-Identifier: MPL-2.0

package store

import (
	"net"
	"os"
)

// DeploymentAt returns the name of the deployment in dir whose address collides
// with address, "" for none. It reads the files, and so works without an agent.
func DeploymentAt(dir Dir, address string) string {
	entries, err := os.ReadDir(dir.Deployments())
	if err != nil {
		return ""
	}
	for _, entry := range entries {
		doc, err := ReadDocument(dir.Deployment(entry.Name()), entry.Name())
		if err != nil {
			continue
		}
		for _, taken := range append(doc.Frontend.Addresses, doc.Frontend.PreviewAddress) {
			if canCollide(taken, address) {
				return entry.Name()
			}
		}
	}
	return ""
}

// canCollide reports whether two listeners cannot have these addresses.
func canCollide(a, b string) bool {
	left, err := net.ResolveTCPAddr("tcp", a)
	if err != nil {
		return false
	}
	right, err := net.ResolveTCPAddr("tcp", b)
	if err != nil || left.Port != right.Port || left.Port == 0 {
		return false
	}
	isAny := func(ip net.IP) bool { return len(ip) == 0 || ip.IsUnspecified() }
	return isAny(left.IP) || isAny(right.IP) || left.IP.Equal(right.IP)
}
