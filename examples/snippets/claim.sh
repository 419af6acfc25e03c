#!/bin/sh
# Takes a token of a generic operation, uses it, and says so: claim.sh JOB_ID
[ $# -eq 1 ] || { echo 'usage: claim.sh JOB_ID' >&2; exit 2; }
token=$(curl -sS --fail-with-body -X PUT -H "Authorization: Bearer $WORKER_API_KEY" -H 'Content-Type: application/json' \
  -d '{"kind":"token","wait":25}' "$WORKER_URL/v1/claims/$1") || { echo "$token" >&2; exit 1; }
[ -n "$token" ] || { echo 'nothing came' >&2; exit 3; }
echo "$token" # … POST /v1/genericoperations with the value …
curl -sS --fail-with-body -X DELETE -H "Authorization: Bearer $WORKER_API_KEY" "$WORKER_URL/v1/claims/$1"
