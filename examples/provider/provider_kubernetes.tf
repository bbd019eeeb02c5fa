# A cluster of a kubeconfig. Without the kubernetes block, the provider uses
# KUBE_CONFIG_PATH, KUBECONFIG, or the service account of the pod that Terraform
# runs in.
provider "bluegreen" {
  kubernetes = {
    config_path    = "~/.kube/config"
    config_context = "production"
  }
}
