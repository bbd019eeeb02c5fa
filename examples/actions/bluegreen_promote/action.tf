# terraform apply -invoke=action.bluegreen_promote.web
action "bluegreen_promote" "web" {
  config {
    name       = "web"
    bake_time  = "1m"
    kubernetes = { namespace = "shop" }
  }
}
