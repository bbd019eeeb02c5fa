# The release before 1.5.0 serves while rollback is true. It still runs as the
# standby, so no process has to start.
resource "bluegreen_deployment" "api" {
  name     = "api"
  version  = "1.5.0"
  image    = "./dist/api"
  rollback = true
}
