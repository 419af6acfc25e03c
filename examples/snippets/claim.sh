#!/bin/sh
# Takes a token of a generic operation, uses it, and says so: claim.sh JOB_ID
curl -sS --fail-with-body -X PUT -H "Authorization: Bearer $WORKER_API_KEY" -H 'Content-Type: application/json' \
  -d '{"kind":"token","wait":25}' "$WORKER_URL/v1/claims/$1" || exit 1
# … POST /v1/genericoperations with the value …
curl -sS --fail-with-body -X DELETE -H "Authorization: Bearer $WORKER_API_KEY" "$WORKER_URL/v1/claims/$1"
