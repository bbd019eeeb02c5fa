# What this machine serves.
data "bluegreen_deployments" "here" {}

output "serving" {
  value = { for d in data.bluegreen_deployments.here.deployments : d.name => d.live_version }
}

# What a namespace has that could not go back now.
data "bluegreen_deployments" "shop" {
  kubernetes = { namespace = "shop" }
}

output "without_a_way_back" {
  value = {
    for d in data.bluegreen_deployments.shop.deployments :
    d.name => d.rollback_blocked if !d.rollback_available
  }
}
