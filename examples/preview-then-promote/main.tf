# Deploy a release first, and let it go live later. See the README of this
# directory.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

variable "image" {
  description = "Executable file of the release."
  type        = string
}

variable "release" {
  description = "Version of the release."
  type        = string
}

variable "promote" {
  description = "Whether the release goes live. If not, it waits at the preview endpoint."
  type        = bool
  default     = false
}

resource "bluegreen_deployment" "web" {
  name    = "web"
  version = var.release
  image   = var.image
  promote = var.promote

  health_check = {
    http = { path = "/healthz" }
  }

  local = {
    listen         = "127.0.0.1:8080"
    preview_listen = "127.0.0.1:8081"
  }
}

# What serves is read from the platform: an apply that fails stores what was planned in outputs
# of the resource.
data "bluegreen_deployment" "web" {
  name       = bluegreen_deployment.web.name
  depends_on = [bluegreen_deployment.web]
}

output "endpoint" {
  description = "Address at which clients reach the live release."
  value       = bluegreen_deployment.web.endpoint
}

output "preview_endpoint" {
  description = "Address of a release that waits for its promotion."
  value       = bluegreen_deployment.web.preview_endpoint
}

output "live_version" {
  description = "Version of the live release."
  value       = data.bluegreen_deployment.web.live_version
}
