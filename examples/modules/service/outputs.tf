output "endpoint" {
  description = "Address at which clients reach the service."
  value       = bluegreen_deployment.this.endpoint
}

# What serves is read from the platform: an apply that fails stores what was planned in outputs
# of the resource.
output "live_version" {
  description = "Version of the live release."
  value       = data.bluegreen_deployment.this.live_version
}

output "live_environment" {
  description = "Live environment: blue or green."
  value       = data.bluegreen_deployment.this.live_environment
}

output "rollback_available" {
  description = "Whether a rollback to the previous release is possible."
  value       = data.bluegreen_deployment.this.rollback_available
}
