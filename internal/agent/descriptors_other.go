// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package agent

func descriptorLimit() int { return unknownDescriptorLimit }
