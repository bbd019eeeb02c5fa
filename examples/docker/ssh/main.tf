# Two Docker hosts over ssh, with one provider for each. A host needs only Docker
# and a user who may use it. No port is opened for administration.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

variable "image" {
  description = "Image of the release."
  type        = string
}

variable "release" {
  description = "Version of the release."
  type        = string
}

locals {
  # The host's key must be known already, because ssh cannot ask here.
  ssh = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-i", pathexpand("~/.ssh/deploy")]
}

provider "bluegreen" {
  alias = "east"
  docker = {
    host     = "ssh://deploy@east.example.com"
    ssh_opts = local.ssh
  }
}

provider "bluegreen" {
  alias = "west"
  docker = {
    host     = "ssh://deploy@west.example.com"
    ssh_opts = local.ssh
  }
}

resource "bluegreen_deployment" "east" {
  provider = bluegreen.east
  name     = "web"
  version  = var.release
  image    = var.image

  docker = {
    port    = 8080
    publish = ["0.0.0.0:80"]
  }
}

# West is deployed after east has switched and stayed healthy.
resource "bluegreen_deployment" "west" {
  provider   = bluegreen.west
  depends_on = [bluegreen_deployment.east]
  name       = "web"
  version    = var.release
  image      = var.image

  docker = {
    port    = 8080
    publish = ["0.0.0.0:80"]
  }
}
