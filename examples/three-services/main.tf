# Three services from one module. Each is deployed, checked, switched and rolled
# back on its own. A broken release of one service does not stop the others.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

variable "image" {
  description = "Executable file of the services; they share one here."
  type        = string
}

locals {
  services = {
    accounts = { release = "1.0.0" }
    catalog  = { release = "2.3.1", replicas = 3 }
    checkout = { release = "1.8.0", env = { CURRENCY = "EUR" } }
  }
}

module "service" {
  source   = "../modules/service"
  for_each = local.services

  name     = each.key
  release  = each.value.release
  image    = var.image
  replicas = try(each.value.replicas, 2)
  env      = try(each.value.env, {})
}

output "services" {
  description = "Version and address of each service."
  value = {
    for name, service in module.service :
    name => "${service.live_version} at ${service.endpoint}"
  }
}
