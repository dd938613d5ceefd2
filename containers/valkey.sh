#!/bin/sh
# Valkey with the password of its environment, which no list of processes shows.
set -eu
: "${VALKEY_PASSWORD:?is not set}"
exec valkey-server /etc/valkey.conf - <<END
requirepass $VALKEY_PASSWORD
END
