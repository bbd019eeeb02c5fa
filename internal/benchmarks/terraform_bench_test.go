// SPDX-License-Identifier: MPL-2.0

package benchmarks

import (
	"fmt"
	"testing"
	"time"
)

const floorConfiguration = `
terraform {
  required_providers {
    floor = { source = "bluegreen/floor" }
  }
}
variable "rollback" {
  type    = bool
  default = false
}
variable "n" {
  type    = number
  default = 1
}
resource "floor_nothing" "web" {
  count    = var.n
  name     = "web-${count.index}"
  rollback = var.rollback
}
`

// deploymentConfiguration is a format. Its arguments are the block of the provider, and the
// attributes of the deployment's image and platform.
const deploymentConfiguration = `
terraform {
  required_providers {
    bluegreen = { source = "bluegreen/bluegreen" }
  }
}
variable "rollback" {
  type    = bool
  default = false
}
variable "release" {
  type    = string
  default = "1.0.0"
}
variable "n" {
  type    = number
  default = 1
}
provider "bluegreen" {
  %s
}
resource "bluegreen_deployment" "web" {
  count     = var.n
  name      = "web-${count.index}"
  version   = var.release
  env       = { APP_VERSION = var.release }
  rollback  = var.rollback
  bake_time = "0s"
  %s

  health_check  = { http = { path = "/healthz" } }
  drain_timeout = "1s"
}
`

// localConfiguration returns the configuration of a deployment on this machine.
func localConfiguration() string {
	return fmt.Sprintf(deploymentConfiguration,
		`local = { state_dir = "${path.root}/state" }`, `image = "${path.root}/../service"`)
}

// BenchmarkRollbackByApply measures a whole `terraform apply` that rolls back.
func BenchmarkRollbackByApply(b *testing.B) {
	h := newHarness(b)
	h.initialize("web", localConfiguration())
	h.measureRollback()
}

// measureRollback measures rollbacks of the deployment in web. The mute provider shows how
// much of the time Terraform itself needs for a provider of this size.
func (h *harness) measureRollback() {
	h.Helper()
	h.initialize("floor", floorConfiguration)
	h.write("web/terraform.tfvars", "")
	h.apply("floor")
	h.apply("web", "release=1.0.0")
	h.copyMute("web")
	var floor, mute, rollback []time.Duration
	for h.Loop() {
		h.apply("web", "release=2.0.0")
		rollback = append(rollback, h.apply("web", "release=2.0.0", "rollback=true"))
		floor = append(floor, h.apply("floor", "rollback=true"))
		h.apply("floor", "rollback=false")
		mute = append(mute, h.apply("mute", "rollback=true"))
		h.apply("mute", "rollback=false")
	}
	h.report("rollback", floor, mute, rollback)
}

// BenchmarkPlan200 measures a `terraform plan` of 200 unchanged deployments.
func BenchmarkPlan200(b *testing.B) {
	h := newHarness(b)
	h.initialize("web", localConfiguration())
	h.measurePlan(200)
}

// measurePlan measures plans of n deployments in web. The mute provider shows how much of
// the time Terraform itself needs for resources of this size.
func (h *harness) measurePlan(n int) {
	h.Helper()
	h.initialize("floor", floorConfiguration)
	h.write("floor/terraform.tfvars", fmt.Sprintf("n = %d\n", n))
	h.write("web/terraform.tfvars", fmt.Sprintf("n = %d\n", n))
	h.apply("floor")
	h.apply("web")
	h.copyMute("web")
	var floor, mute, plan []time.Duration
	for h.Loop() {
		plan = append(plan, h.run("web", "plan", "-input=false", "-detailed-exitcode"))
		floor = append(floor, h.run("floor", "plan", "-input=false", "-detailed-exitcode"))
		mute = append(mute, h.run("mute", "plan", "-input=false", "-detailed-exitcode"))
	}
	h.report("plan", floor, mute, plan)
}
