# One HTTP service with defaults: two replicas, a health check on /healthz, and a
# watch of half a minute after every switch.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

resource "bluegreen_deployment" "this" {
  name     = var.name
  version  = var.release
  image    = var.image
  replicas = var.replicas
  env      = var.env

  promote  = var.promote
  rollback = var.rollback

  health_check = {
    http = { path = var.health_path }
  }

  bake_time = var.bake_time

  local = {
    listen = var.listen
  }
}

data "bluegreen_deployment" "this" {
  name       = bluegreen_deployment.this.name
  depends_on = [bluegreen_deployment.this]
}
