# What this machine has.
list "bluegreen_deployment" "here" {
  provider = bluegreen
}

# What a namespace has. With docker = {} it is what a Docker host has.
list "bluegreen_deployment" "shop" {
  provider = bluegreen

  config {
    kubernetes = { namespace = "shop" }
  }
}
