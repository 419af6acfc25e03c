#!/bin/sh
# Waits for the token under a merchant_data and prints it: wait.sh MERCHANT_DATA
[ $# -eq 1 ] || { echo 'usage: wait.sh MERCHANT_DATA' >&2; exit 2; }
token=$(curl -sS --fail-with-body -G -H "Authorization: Bearer $WORKER_API_KEY" \
  --data-urlencode "merchant_data=$1" -d wait=25 "$WORKER_URL/v1/tokens") || { echo "$token" >&2; exit 1; }
[ -n "$token" ] || { echo 'nothing came' >&2; exit 3; }
echo "$token"
