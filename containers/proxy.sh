#!/bin/sh
# nginx that asks the network's own name server: a container that was restarted has another address.
set -eu
server=$(sed -n 's/^nameserver //p' /etc/resolv.conf | head -1)
case $server in *:*) server="[$server]" ;; esac
echo "resolver $server valid=2s;" > /tmp/resolver.conf
exec nginx -g 'daemon off;'
