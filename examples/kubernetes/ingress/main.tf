# A deployment behind an Ingress: see the README of this directory.

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

variable "promote" {
  description = "Whether the release goes live. If not, it waits at the host name of the preview."
  type        = bool
  default     = true
}

resource "bluegreen_deployment" "web" {
  name     = "web"
  version  = var.release
  image    = var.image
  replicas = 3
  promote  = var.promote

  health_check = {
    http = { path = "/healthz" }
  }

  kubernetes = {
    port    = 8080
    service = { port = 80 }
  }
}
