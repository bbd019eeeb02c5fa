# The id of a deployment on the local platform is its name.
terraform import bluegreen_deployment.web web
