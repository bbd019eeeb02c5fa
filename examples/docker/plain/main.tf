# Three containers on this machine's Docker engine, behind one address.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

variable "image" {
  description = "Image of the release, such as ghcr.io/example/web:1.4.0."
  type        = string
}

variable "release" {
  description = "Version of the release."
  type        = string
}

resource "bluegreen_deployment" "web" {
  name     = "web"
  version  = var.release
  image    = var.image
  replicas = 3

  health_check = {
    http = { path = "/healthz" }
  }

  docker = {
    port    = 8080               # the port that the containers listen on; they get it as PORT
    publish = ["127.0.0.1:8080"] # the address that clients use; "0.0.0.0:80" is every address of the host
    memory  = "256m"
  }
}

output "endpoint" {
  description = "Address at which clients reach the live release."
  value       = bluegreen_deployment.web.endpoint
}

output "preview_endpoint" {
  description = "Address of a release that waits for its promotion."
  value       = bluegreen_deployment.web.preview_endpoint
}
