# A secret that Terraform passes on and does not keep (Terraform or OpenTofu 1.11 and
# newer). It can also come from an ephemeral resource, such as a secret of a vault.
variable "database_password" {
  type      = string
  ephemeral = true
}

resource "bluegreen_deployment" "orders" {
  name    = "orders"
  version = "3.0.0"
  image   = "${path.module}/dist/orders"

  env_wo         = { DATABASE_PASSWORD = var.database_password }
  env_wo_version = 1 # change it when the password has changed

  local = { listen = "127.0.0.1:8082" }
}
