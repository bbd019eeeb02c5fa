# On the local platform the id of a deployment is its name.
terraform import bluegreen_deployment.web web

# On Docker it is docker://NAME.
terraform import bluegreen_deployment.shop docker://shop

# On Kubernetes it is NAMESPACE/NAME.
terraform import bluegreen_deployment.basket shop/basket
