import {
  to = bluegreen_deployment.web
  id = "web"
}
