#!/bin/sh
# Writes a backup of the database that DATABASE_URL names to the file that is named, and reads it through once.
# PostgreSQL holds everything that cannot be made again: Redis and the queue are filled from it.
set -eu
[ $# -eq 1 ] || { echo "usage: DATABASE_URL=postgres://… $0 FILE" >&2; exit 2; }
: "${DATABASE_URL:?name the database}"
[ ! -e "$1" ] || { echo "$1 is there already; nothing was written." >&2; exit 1; }
umask 077
trap 'rm -f "$1.part"' EXIT
pg_dump --format=custom --no-owner --no-privileges --file="$1.part" "$DATABASE_URL"
# A dump that was cut off cannot be listed.
tables=$(pg_restore --list "$1.part" | grep -c 'TABLE DATA')
mv "$1.part" "$1"
echo "$1: $tables tables, $(wc -c < "$1") bytes"
