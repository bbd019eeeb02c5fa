output "endpoint" {
  description = "Address at which clients reach the service."
  value       = bluegreen_deployment.this.endpoint
}

output "live_version" {
  description = "Version of the live release."
  value       = bluegreen_deployment.this.live_version
}

output "live_environment" {
  description = "Live environment: blue or green."
  value       = bluegreen_deployment.this.live_environment
}

output "rollback_available" {
  description = "Whether a rollback to the previous release is possible."
  value       = bluegreen_deployment.this.rollback_available
}
