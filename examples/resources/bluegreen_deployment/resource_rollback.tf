# The release before 1.5.0 serves for as long as rollback is true. It still runs
# as the standby, so nothing has to boot.
resource "bluegreen_deployment" "api" {
  name     = "api"
  version  = "1.5.0"
  image    = "./dist/api"
  rollback = true
}
