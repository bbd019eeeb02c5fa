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

# The cluster is the one in KUBE_CONFIG_PATH. Set config_path to name it here.
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
    port      = 8080 # the port that the pods listen on; they get it as PORT
    service   = { port = 80 }
  }
}

output "endpoint" {
  description = "Address at which clients in the cluster reach the live release."
  value       = bluegreen_deployment.web.endpoint
}

output "preview_endpoint" {
  description = "Address, in the cluster, of a release that waits for its promotion."
  value       = bluegreen_deployment.web.preview_endpoint
}
