# A release whose image has a HEALTHCHECK. It must pass, and so must the checks
# below. See the README of this directory.

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

  # The agent sends this request over the network of the deployment. The
  # HEALTHCHECK of the image runs inside the container.
  health_check = {
    http = { path = "/" }
  }

  docker = {
    port      = 8080
    publish   = ["127.0.0.1:8080"]
    pull      = "never" # the image was built on this host
    read_only = true
    user      = "65534:65534"
  }
}

output "endpoint" {
  description = "Address at which clients reach the live release."
  value       = bluegreen_deployment.web.endpoint
}
