# Reads what serves now, and the history. Another configuration may manage the
# deployment.
data "bluegreen_deployment" "web" {
  name = "web"
}

output "serving" {
  value = "${data.bluegreen_deployment.web.live_version} in ${data.bluegreen_deployment.web.live_environment}"
}

output "failed_releases" {
  value = {
    for record in data.bluegreen_deployment.web.history :
    record.id => "${record.version}: ${record.reason}" if record.status == "failed"
  }
}
