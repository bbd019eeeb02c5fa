# A pod template that is merged over the one that the provider generates. It can
# set every field of a pod.

terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

variable "image" {
  description = "Image of the release."
  type        = string
}

variable "release" {
  description = "Version of the release."
  type        = string
}

provider "bluegreen" {
  kubernetes = {
    config_path    = "~/.kube/config"
    config_context = "production"
  }
}

resource "bluegreen_deployment" "web" {
  name     = "web"
  version  = var.release
  image    = var.image
  replicas = 3

  # Every user who can read Deployments can read these values. Take secrets from a
  # Secret, in the pod template.
  env = {
    LOG_LEVEL = "info"
  }

  health_check = {
    http    = { path = "/healthz" }
    timeout = "2m"
  }

  # The time for requests in flight, and the termination grace period of the pods.
  drain_timeout = "60s"

  kubernetes = {
    namespace = "shop"
    port      = 8080

    service = {
      type        = "LoadBalancer"
      port        = 80
      annotations = { "service.beta.kubernetes.io/aws-load-balancer-type" = "nlb" }
    }

    pod_template = jsonencode({
      metadata = {
        annotations = { "prometheus.io/scrape" = "true" }
      }
      spec = {
        serviceAccountName = "web"
        imagePullSecrets   = [{ name = "registry" }]

        containers = [
          {
            name = "web" # the deployment's name: the container that runs the image

            resources = {
              requests = { cpu = "100m", memory = "128Mi" }
              limits   = { memory = "256Mi" }
            }

            env = [{
              name      = "DATABASE_URL"
              valueFrom = { secretKeyRef = { name = "web", key = "database-url" } }
            }]

            readinessProbe = {
              httpGet       = { path = "/healthz", port = "traffic" }
              periodSeconds = 1
            }
            livenessProbe = {
              httpGet          = { path = "/healthz", port = "traffic" }
              periodSeconds    = 10
              failureThreshold = 6
            }

            volumeMounts = [{ name = "cache", mountPath = "/var/cache/web" }]
          },
        ]

        volumes = [{ name = "cache", emptyDir = { sizeLimit = "1Gi" } }]

        topologySpreadConstraints = [{
          maxSkew           = 1
          topologyKey       = "kubernetes.io/hostname"
          whenUnsatisfiable = "ScheduleAnyway"
          labelSelector     = { matchLabels = { "app.kubernetes.io/instance" = "web" } }
        }]
      }
    })
  }
}
