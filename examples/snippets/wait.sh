#!/bin/sh
# Waits for the token under a merchant_data and prints it: wait.sh MERCHANT_DATA
curl -sS --fail-with-body -G -H "Authorization: Bearer $WORKER_API_KEY" \
  --data-urlencode "merchant_data=$1" -d wait=25 "$WORKER_URL/v1/tokens"
