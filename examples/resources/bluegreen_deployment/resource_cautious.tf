# A release with two health checks, a long watch and a long drain.
resource "bluegreen_deployment" "checkout" {
  name     = "checkout"
  version  = "2.0.0"
  image    = "./dist/checkout.tar.gz"
  command  = ["bin/checkout"]
  args     = ["serve"]
  replicas = 4

  # A replica must pass both checks. Three of the four replicas are enough.
  health_check = {
    http                = { path = "/ready", headers = { Authorization = "Bearer ${var.probe_token}" } }
    exec                = { command = ["bin/checkout", "selftest"] }
    interval            = "500ms"
    probe_timeout       = "2s"
    healthy_threshold   = 2
    timeout             = "45s"
    retries             = 1
    min_healthy_percent = 75
  }

  # After the switch the release is watched for two minutes. If it fails, traffic
  # is rolled back automatically and the apply fails.
  bake_time = "2m"

  # Streams and WebSockets can stay on the old release for this long.
  drain_timeout = "5m"

  timeouts = {
    update = "15m"
  }
}

variable "probe_token" {
  description = "Token that the service requires for /ready."
  type        = string
  sensitive   = true
}
