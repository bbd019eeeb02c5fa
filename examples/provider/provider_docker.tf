# A Docker host over ssh. Without the docker block, the provider uses the same host
# as the docker command: DOCKER_HOST, the current context, or the default socket.
provider "bluegreen" {
  docker = {
    host     = "ssh://deploy@web1.example.com"
    ssh_opts = ["-o", "BatchMode=yes", "-i", pathexpand("~/.ssh/deploy")]

    registry_auth = [{
      address  = "ghcr.io"
      username = "deploy"
      password = var.registry_token
    }]
  }
}

variable "registry_token" {
  description = "Token that is used to pull images."
  type        = string
  sensitive   = true
}
