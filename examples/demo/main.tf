# The configuration of the demo. Each step applies it with other variables.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

variable "name" {
  description = "Name of the deployment. Nothing else on the platform has this name."
  type        = string
}

variable "state_dir" {
  description = "State directory of the agent of the local platform."
  type        = string
}

variable "image" {
  description = "The service to deploy: an executable file, or an image."
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
  docker = {
    agent_name = "${var.name}-agent"
  }
}

resource "bluegreen_deployment" "shop" {
  name     = var.name
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
    timeout = "5s"
    retries = 0
  }

  bake_time     = "1s"
  drain_timeout = "2s"

  docker = local.platform != "docker" ? null : {
    port = 8080
    pull = "never"
  }

  kubernetes = local.platform != "kubernetes" ? null : {
    namespace = var.name
    port      = 8080
    service   = { type = "NodePort" }
  }
}

data "bluegreen_deployment" "shop" {
  name       = bluegreen_deployment.shop.name
  docker     = local.platform != "docker" ? null : {}
  kubernetes = local.platform != "kubernetes" ? null : { namespace = var.name }
  depends_on = [bluegreen_deployment.shop]
}

output "endpoint" {
  value = bluegreen_deployment.shop.endpoint
}

output "live_version" {
  value = data.bluegreen_deployment.shop.live_version
}

output "environments" {
  value = data.bluegreen_deployment.shop.environments
}

output "history" {
  value = data.bluegreen_deployment.shop.history
}
