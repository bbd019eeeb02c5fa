# A release whose image brings a HEALTHCHECK: it has to pass, and so have the
# checks below. See the README of this directory.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

variable "release" {
  description = "Version of the release, which is the tag of its image too."
  type        = string
}

resource "bluegreen_deployment" "web" {
  name     = "web"
  version  = var.release
  image    = "bluegreen-example:${var.release}"
  replicas = 2

  # From outside, by way of the proxy's network: does it answer?
  # From inside, the HEALTHCHECK: does it think that it is well?
  health_check = {
    http = { path = "/" }
  }

  docker = {
    port      = 8080
    publish   = ["127.0.0.1:8080"]
    pull      = "never" # it was built on this host
    read_only = true
    user      = "65534:65534"
  }
}

output "endpoint" {
  description = "Where clients reach the live release."
  value       = bluegreen_deployment.web.endpoint
}
