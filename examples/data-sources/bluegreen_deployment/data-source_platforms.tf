# On Docker and on Kubernetes, say so.
data "bluegreen_deployment" "shop" {
  name   = "shop"
  docker = {}
}

data "bluegreen_deployment" "basket" {
  name       = "basket"
  kubernetes = { namespace = "shop" }
}
