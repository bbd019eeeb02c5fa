terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

provider "bluegreen" {
  # The directory in which the agent keeps its ledgers, images and logs. Default:
  # $XDG_STATE_HOME/bluegreen, or ~/.local/state/bluegreen.
  local = {
    state_dir = "/var/lib/bluegreen"
  }
}
