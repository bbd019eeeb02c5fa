# SPDX-License-Identifier: MPL-2.0
# Completion for fish.

set -l command terraform-provider-bluegreen
complete -c $command -f
complete -c $command -n __fish_use_subcommand -a agent -d 'Run the agent of the local and docker platforms'
complete -c $command -n __fish_use_subcommand -o debug -d 'Wait for Terraform to attach'
set -l agent '__fish_seen_subcommand_from agent; and not __fish_seen_subcommand_from install connect'
complete -c $command -n $agent -a install -d 'Write a systemd unit'
complete -c $command -n $agent -a connect -d 'Relay to the socket of the agent'
complete -c $command -n $agent -o state-dir -xa '(__fish_complete_directories)' -d 'Directory of the state'
complete -c $command -n $agent -o linger -xa 'forever 1m' -d 'How long to stay without a deployment'
complete -c $command -n $agent -o restart -d 'Start it again when it dies'
complete -c $command -n $agent -o service -d 'Run under systemd'
complete -c $command -n $agent -o take-over -d 'Take over from the agent that runs'
complete -c $command -n $agent -o metrics-listen -x -d 'Address of the metrics'
complete -c $command -n $agent -o replica-ports -x -d 'Ports that replicas get'
complete -c $command -n '__fish_seen_subcommand_from install' -o user -d 'Write the unit of an agent of your own'
complete -c $command -n '__fish_seen_subcommand_from install' -o as -xa '(__fish_complete_users)' -d 'User that the agent runs as'
complete -c $command -n '__fish_seen_subcommand_from install' -o force -d 'Replace a unit that somebody has edited'
complete -c $command -n '__fish_seen_subcommand_from install' -o print -d 'Print the unit and write nothing'
complete -c $command -n '__fish_seen_subcommand_from connect' -o state-dir -xa '(__fish_complete_directories)' -d 'Directory of the state'
complete -c $command -n '__fish_seen_subcommand_from connect' -o patience -x -d 'How long to wait for the agent'
