#!/bin/sh
# Temporal's two databases and their schemas; done again it brings them up to date.
set -eu
for database in temporal temporal_visibility; do
  schema=${database#temporal_}
  sql() { temporal-sql-tool --plugin postgres12 --ep 127.0.0.1 -p 5432 -u temporal --db "$database" "$@"; }
  sql create
  sql setup-schema -v 0.0
  sql update-schema -d "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
