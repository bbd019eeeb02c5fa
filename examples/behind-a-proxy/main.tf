# A service that only a proxy on the same machine can reach.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

variable "image" {
  description = "Executable file of the release, such as /opt/shop/releases/1.4.0/shop."
  type        = string
}

variable "release" {
  description = "Version of the release."
  type        = string
}

resource "bluegreen_deployment" "shop" {
  name     = "shop"
  version  = var.release
  image    = var.image
  replicas = 2

  health_check = {
    http = { path = "/healthz" }
  }

  local = {
    listen          = "127.0.0.1:8080"
    trusted_proxies = ["127.0.0.1/32"]
    access_log      = true
  }
}
