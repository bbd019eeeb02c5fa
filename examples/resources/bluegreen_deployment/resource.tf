# Three processes behind one address. A new version is deployed to the environment
# without traffic. Traffic is switched to it when it answers GET /healthz there.
resource "bluegreen_deployment" "web" {
  name     = "web"
  version  = "1.4.0"
  image    = "./dist/web"
  replicas = 3

  env = {
    LOG_LEVEL = "info"
  }

  health_check = {
    http = { path = "/healthz" }
  }

  local = {
    listen = "127.0.0.1:8080"
  }
}
