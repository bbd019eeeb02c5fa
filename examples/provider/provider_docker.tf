# A Docker host over ssh. With docker left out it is the host that the docker
# command talks to: DOCKER_HOST, the current context, or the default socket.
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
  description = "What images are pulled with."
  type        = string
  sensitive   = true
}
