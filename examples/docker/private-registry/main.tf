# An image from a registry that wants a login.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

variable "registry_username" {
  description = "Who pulls."
  type        = string
}

variable "registry_password" {
  description = "The password or token to pull with."
  type        = string
  sensitive   = true
}

variable "release" {
  description = "Version of the release, which is the tag of its image too."
  type        = string
}

provider "bluegreen" {
  docker = {
    # Of a registry that is not listed here, the login is taken that
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
    pull    = "always" # ask the registry at every deploy, also for a tag that is there
  }
}
