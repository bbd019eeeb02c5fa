terraform {
  required_providers {
    bluegreen = {
      source = "bluegreen/bluegreen"
    }
  }
}

provider "bluegreen" {
  # Where the agent of this machine keeps its ledgers and its processes.
  # Without it: $XDG_STATE_HOME/bluegreen.
  local = {
    state_dir = "/var/lib/bluegreen"
  }
}
