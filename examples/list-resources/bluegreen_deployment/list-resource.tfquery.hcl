# What a namespace has. Without a block in config, the query lists what this machine has.
list "bluegreen_deployment" "shop" {
  provider = bluegreen

  config {
    kubernetes = { namespace = "shop" }
  }
}
