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

// deploymentConfiguration takes the block of the provider, and the image and the
// block of the platform.
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

// onThisMachine is a deployment of processes.
func onThisMachine() string {
	return fmt.Sprintf(deploymentConfiguration, `local = { state_dir = "${path.root}/state" }`, `image = "${path.root}/../service"`)
}

// BenchmarkRollbackByApply measures a whole `terraform apply` that rolls back.
func BenchmarkRollbackByApply(b *testing.B) {
	w := newWorkbench(b)
	w.configuration("web", onThisMachine())
	w.rollBack()
}

// rollBack measures rollbacks of the deployment in web. What of it is Terraform's
// own, for a provider of this size, is what the mute one takes.
func (w *workbench) rollBack() {
	w.Helper()
	w.configuration("floor", floorConfiguration)
	w.write("web/terraform.tfvars", "")
	w.apply("floor")
	w.apply("web", "release=1.0.0")
	w.copyMute("web")
	var floor, mute, rollback []time.Duration
	for w.Loop() {
		w.apply("web", "release=2.0.0")
		rollback = append(rollback, w.apply("web", "release=2.0.0", "rollback=true"))
		floor = append(floor, w.apply("floor", "rollback=true"))
		w.apply("floor", "rollback=false")
		mute = append(mute, w.apply("mute", "rollback=true"))
		w.apply("mute", "rollback=false")
	}
	w.report("rollback", floor, mute, rollback)
}

// BenchmarkPlan200 measures a `terraform plan` of 200 deployments that are up to
// date.
func BenchmarkPlan200(b *testing.B) {
	w := newWorkbench(b)
	w.configuration("web", onThisMachine())
	w.plan(200)
}

// plan measures plans of n deployments in web. What of it is Terraform's own, for
// resources of this size, is what the mute provider takes.
func (w *workbench) plan(n int) {
	w.Helper()
	w.configuration("floor", floorConfiguration)
	w.write("floor/terraform.tfvars", fmt.Sprintf("n = %d\n", n))
	w.write("web/terraform.tfvars", fmt.Sprintf("n = %d\n", n))
	w.apply("floor")
	w.apply("web")
	w.copyMute("web")
	var floor, mute, plan []time.Duration
	for w.Loop() {
		plan = append(plan, w.run("web", "plan", "-input=false", "-detailed-exitcode"))
		floor = append(floor, w.run("floor", "plan", "-input=false", "-detailed-exitcode"))
		mute = append(mute, w.run("mute", "plan", "-input=false", "-detailed-exitcode"))
	}
	w.report("plan", floor, mute, plan)
}
