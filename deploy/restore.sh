#!/bin/sh
# Fills the empty database that DATABASE_URL names from a file of deploy/backup.sh: all of it or nothing.
# docs/how-to/restore.md says what to do before messages go out again.
set -eu
[ $# -eq 1 ] || { echo "usage: DATABASE_URL=postgres://… $0 FILE" >&2; exit 2; }
: "${DATABASE_URL:?name the database}"
found=$(psql --no-psqlrc --tuples-only --no-align --dbname="$DATABASE_URL" \
    --command="SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
[ "$found" -eq 0 ] || { echo "The database holds $found tables; restore into an empty one." >&2; exit 1; }
pg_restore --exit-on-error --single-transaction --no-owner --no-privileges --dbname="$DATABASE_URL" "$1"
echo "restored from $1"
