# Containers on a Docker host. The agent on that host listens on port 80. The
# containers publish no port.
resource "bluegreen_deployment" "shop" {
  name     = "shop"
  version  = "1.4.0"
  image    = "ghcr.io/example/shop:1.4.0"
  replicas = 3

  health_check = {
    http = { path = "/healthz" }
  }

  docker = {
    port    = 8080
    publish = ["0.0.0.0:80"]
    network = "databases"
    memory  = "512m"
    volumes = [{ volume_name = "uploads", container_path = "/srv/uploads" }]
  }
}
