#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
#
# Runs before the package is removed or upgraded. Debian's argument is "remove" for the first and
# "upgrade" for the second, and rpm's is 0 and 1.
set -eu

case ${1:-} in
remove | 0) ;;
*) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl disable --now bluegreen.service
fi
