#!/bin/sh
# PostgreSQL with PostGIS: made on the first start, for one user and one database called cairn.
set -eu
: "${POSTGRES_PASSWORD:?is not set}"
export PGDATA=/data/cluster
bin=/usr/lib/postgresql/15/bin
if [ ! -f "$PGDATA/PG_VERSION" ]; then
    # Made beside its place, so that a start that was cut off begins anew.
    rm -rf "$PGDATA.new"
    printf '%s' "$POSTGRES_PASSWORD" > /tmp/password
    "$bin/initdb" --pgdata "$PGDATA.new" --username cairn --pwfile /tmp/password \
        --auth scram-sha-256 --encoding UTF8 --locale C.UTF-8 --data-checksums
    rm /tmp/password
    echo 'host all all all scram-sha-256' >> "$PGDATA.new/pg_hba.conf"
    echo 'create database cairn;' | "$bin/postgres" --single -D "$PGDATA.new" postgres
    echo 'create extension postgis;' | "$bin/postgres" --single -D "$PGDATA.new" cairn
    mv "$PGDATA.new" "$PGDATA"
fi
exec "$bin/postgres" -c listen_addresses='*' -c unix_socket_directories=/tmp
