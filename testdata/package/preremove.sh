#!/bin/sh
# Before a removal, which dpkg calls "remove" and rpm "0", but not before an
# upgrade: no sync starts any more.
set -e
case $1 in
remove | 0)
	if [ -z "$DPKG_ROOT" ] && [ -d /run/systemd/system ]; then
		systemctl disable --now ftl-sync.timer ftl-agent.service ftl-serve.service
	fi
	;;
esac
