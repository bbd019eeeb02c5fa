// SPDX-License-Identifier: MPL-2.0

// Package dockerapi holds what the docker platform and the agent both ask of a Docker
// engine: the names of the labels, commands in a container, and the HEALTHCHECK of an
// image.
package dockerapi
