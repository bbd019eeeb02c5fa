# The id is PLATFORM/NAME.
terraform import bluegreen_deployment.web local/web
