# A cluster of a kubeconfig. With kubernetes left out: KUBE_CONFIG_PATH, else
# KUBECONFIG, else the service account of the pod that Terraform runs in.
provider "bluegreen" {
  kubernetes = {
    config_path    = "~/.kube/config"
    config_context = "production"
  }
}
