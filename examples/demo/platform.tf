# Where the service runs: local, docker or kubernetes. The demo writes this file.

locals {
  platform = "local"
}
