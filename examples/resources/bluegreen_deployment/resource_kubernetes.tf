# Pods on a cluster, behind a Service called "basket".
resource "bluegreen_deployment" "basket" {
  name     = "basket"
  version  = "1.4.0"
  image    = "ghcr.io/example/basket:1.4.0"
  replicas = 3

  health_check = {
    http = { path = "/healthz" }
  }

  kubernetes = {
    namespace = "shop"
    port      = 8080
    service   = { port = 80 }

    pod_template = jsonencode({
      spec = {
        containers = [{
          name      = "basket" # the container that runs the image has the deployment's name
          resources = { requests = { cpu = "100m", memory = "128Mi" }, limits = { memory = "256Mi" } }
          env = [{
            name      = "DATABASE_URL"
            valueFrom = { secretKeyRef = { name = "basket", key = "database-url" } }
          }]
        }]
      }
    })
  }
}
