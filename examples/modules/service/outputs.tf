output "endpoint" {
  description = "Where clients reach the service."
  value       = bluegreen_deployment.this.endpoint
}

output "live_version" {
  description = "Version that serves."
  value       = bluegreen_deployment.this.live_version
}

output "live_environment" {
  description = "Environment that serves: blue or green."
  value       = bluegreen_deployment.this.live_environment
}

output "rollback_available" {
  description = "Whether the release before this one can come back at once."
  value       = bluegreen_deployment.this.rollback_available
}
