#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
#
# Runs after the package is installed or upgraded. It creates the user of the agent, and restarts
# an agent that runs: replicas keep running, and clients wait meanwhile.
set -eu

if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers /usr/lib/sysusers.d/bluegreen.conf
elif ! getent passwd bluegreen >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/bluegreen --shell /usr/sbin/nologin bluegreen
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart bluegreen.service
fi
