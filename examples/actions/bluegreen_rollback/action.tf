# terraform apply -invoke=action.bluegreen_rollback.web
action "bluegreen_rollback" "web" {
  config {
    name   = "web"
    reason = "2.0.0 loses orders"
  }
}
