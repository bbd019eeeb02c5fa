# What the demo applies, with other variables at every step.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

variable "state_dir" {
  description = "Where the agent keeps its ledger and its processes."
  type        = string
}

variable "image" {
  description = "The service to deploy: an executable file."
  type        = string
}

variable "release" {
  description = "The version that should serve."
  type        = string
}

variable "broken" {
  description = "Whether that version fails its health check."
  type        = bool
}

variable "rollback" {
  description = "Whether the release before that one should serve instead."
  type        = bool
}

provider "bluegreen" {
  local = {
    state_dir = var.state_dir
  }
}

resource "bluegreen_deployment" "shop" {
  name     = "shop"
  version  = var.release
  image    = var.image
  replicas = 2
  rollback = var.rollback

  env = {
    APP_VERSION = var.release
    BROKEN      = var.broken ? "1" : "0"
  }

  health_check = {
    http    = { path = "/healthz" }
    timeout = "2s"
    retries = 0
  }

  bake_time     = "1s"
  drain_timeout = "2s"
}

data "bluegreen_deployment" "shop" {
  name       = bluegreen_deployment.shop.name
  depends_on = [bluegreen_deployment.shop]
}

output "endpoint" {
  value = bluegreen_deployment.shop.endpoint
}

output "live_version" {
  value = bluegreen_deployment.shop.live_version
}

output "environments" {
  value = bluegreen_deployment.shop.environments
}

output "history" {
  value = data.bluegreen_deployment.shop.history
}
