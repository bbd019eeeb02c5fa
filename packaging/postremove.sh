#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
#
# Runs after the package is removed or upgraded. The user and /var/lib/bluegreen stay: there are
# the ledgers, and what is deployed may still run.
set -eu

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
