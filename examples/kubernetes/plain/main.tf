# Three pods behind a Service. Nothing has to be installed in the cluster.

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

variable "namespace" {
  description = "Namespace, which must exist."
  type        = string
  default     = "default"
}

# Which cluster: KUBE_CONFIG_PATH, or config_path here.
provider "bluegreen" {
  kubernetes = {}
}

resource "bluegreen_deployment" "web" {
  name     = "web"
  version  = var.release
  image    = var.image
  replicas = 3

  health_check = {
    http = { path = "/healthz" }
  }

  kubernetes = {
    namespace = var.namespace
    port      = 8080 # where the pods listen; they are told in PORT
    service   = { port = 80 }
  }
}

output "endpoint" {
  description = "Where clients in the cluster reach the live release."
  value       = bluegreen_deployment.web.endpoint
}

output "preview_endpoint" {
  description = "Where a release that waits for its promotion can be tried, in the cluster."
  value       = bluegreen_deployment.web.preview_endpoint
}
