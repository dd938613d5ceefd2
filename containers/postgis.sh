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
    # By a server, not `postgres --single`: what that makes counts as PostgreSQL's own, and pg_dump
    # leaves it out.
    export PGHOST=/tmp PGUSER=cairn PGPASSWORD="$POSTGRES_PASSWORD"
    "$bin/pg_ctl" start --pgdata "$PGDATA.new" --wait --silent \
        --options "-c listen_addresses= -c unix_socket_directories=/tmp"
    psql --quiet --command 'create database cairn' postgres
    psql --quiet --command 'create extension postgis' cairn
    "$bin/pg_ctl" stop --pgdata "$PGDATA.new" --wait --silent
    unset PGPASSWORD
    mv "$PGDATA.new" "$PGDATA"
fi
exec "$bin/postgres" -c listen_addresses='*' -c unix_socket_directories=/tmp
