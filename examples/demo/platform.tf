# The platform that the service runs on: local, docker or kubernetes. The demo
# writes this file.

locals {
  platform = "local"
}
