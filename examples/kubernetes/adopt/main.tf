# An existing Service and its Deployment become the blue environment. See the
# README of this directory.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

variable "image" {
  description = "Image of the first release after the adoption."
  type        = string
}

variable "release" {
  description = "Version of that release."
  type        = string
}

variable "rollback" {
  description = "Whether the previous release serves, which is at first the adopted one."
  type        = bool
  default     = false
}

resource "bluegreen_deployment" "web" {
  name     = "web" # the name of the Service
  version  = var.release
  image    = var.image
  replicas = 2
  rollback = var.rollback

  kubernetes = {
    namespace = "default"
    adopt     = true
    port      = 8080

    # Set these to what the Service has today: the apply changes it to these values.
    service = {
      type = "ClusterIP"
      port = 80
    }
  }
}
