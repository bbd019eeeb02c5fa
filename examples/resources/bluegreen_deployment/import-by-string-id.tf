import {
  to = bluegreen_deployment.web
  id = "local/web"
}
