variable "name" {
  description = "Name of the service. Changing it replaces the deployment."
  type        = string
}

variable "release" {
  description = "Version that should serve. Terraform reserves the name version for the module itself."
  type        = string
}

variable "image" {
  description = "Executable file of that version."
  type        = string
}

variable "replicas" {
  description = "Number of processes in each environment."
  type        = number
  default     = 2
}

variable "env" {
  description = "Environment variables of the processes."
  type        = map(string)
  default     = {}
}

variable "health_path" {
  description = "Path that answers 2xx when a process is healthy."
  type        = string
  default     = "/healthz"
}

variable "bake_time" {
  description = "How long a release is watched after the switch."
  type        = string
  default     = "30s"
}

variable "listen" {
  description = "Address that clients use; null chooses a free port."
  type        = string
  default     = null
}

variable "promote" {
  description = "Whether the release goes live when it is healthy; false stops at a preview."
  type        = bool
  default     = true
}

variable "rollback" {
  description = "Whether the previous release serves."
  type        = bool
  default     = false
}
