# An image from a registry that requires a login.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

variable "registry_username" {
  description = "User that pulls the image."
  type        = string
}

variable "registry_password" {
  description = "Password or token of that user."
  type        = string
  sensitive   = true
}

variable "release" {
  description = "Version of the release, which is the tag of its image too."
  type        = string
}

provider "bluegreen" {
  docker = {
    # For a registry that is not listed here, the provider uses the login that
    # `docker login` has stored on this machine.
    registry_auth = [{
      address  = "registry.example.com"
      username = var.registry_username
      password = var.registry_password
    }]
  }
}

resource "bluegreen_deployment" "web" {
  name    = "web"
  version = var.release
  image   = "registry.example.com/shop/web:${var.release}"

  docker = {
    port    = 8080
    publish = ["0.0.0.0:80"]
    pull    = "always" # pull at every deploy, even if the host has the tag already
  }
}
