# A Service and its Deployment that are there already become the blue
# environment: see the README of this directory.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

variable "image" {
  description = "Image of the release that comes after what serves today."
  type        = string
}

variable "release" {
  description = "Its version."
  type        = string
}

variable "rollback" {
  description = "Whether what was adopted, or later the release before, serves."
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

    # As the Service is today: what is said here is what it becomes.
    service = {
      type = "ClusterIP"
      port = 80
    }
  }
}
