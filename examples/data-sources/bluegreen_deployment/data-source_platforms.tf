# For a deployment on Docker or Kubernetes, name the platform.
data "bluegreen_deployment" "shop" {
  name   = "shop"
  docker = {}
}

data "bluegreen_deployment" "basket" {
  name       = "basket"
  kubernetes = { namespace = "shop" }
}
