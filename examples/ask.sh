#!/bin/sh
# Asks Carat through the service, one call for each flow, and continues with the token. Needs only
# curl.
usage='sh examples/ask.sh schedule-edit SID AMOUNT
sh examples/ask.sh recharge USN DDD NUMBER AMOUNT
sh examples/ask.sh generic-operation OPERATION
sh examples/ask.sh cancellation ESITEF_USN USN AMOUNT

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no token came.'
WORKER_URL=${WORKER_URL:-http://127.0.0.1:8081}
CARAT_URL=${CARAT_URL:-http://127.0.0.1:8090/e-sitef/api}
CARAT_RECHARGE_URL=${CARAT_RECHARGE_URL:-http://127.0.0.1:8090/e-sitef}
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# Writes the answer to a file and prints the status; 000 when the connection failed.
call() {
  method=$1 url=$2 body=$3
  shift 3
  curl -sS -o "$answer" -w '%{http_code}' -X "$method" -d "$body" -H 'Content-Type: application/json' "$@" "$url"
}
service() {
  call "$1" "$WORKER_URL$2" "$3" -H "Authorization: Bearer ${WORKER_API_KEY:-}"
}
carat() {
  call "$1" "$CARAT_URL$2" "$3" \
    -H "merchant_id: ${CARAT_MERCHANT_ID:-LOJA1}" -H "merchant_key: ${CARAT_MERCHANT_KEY:-CHAVE0123456789}"
}
fail() {
  echo "$1" >&2
  exit "${2:-1}"
}
# Asks for a token: PATH BODY. The answer is in the file.
ask() {
  status=$(service POST "$1" "$2")
  [ "$status" = 201 ] && return
  why="no token: $status $(field code): $(field detail)"
  if [ "$status" = 504 ]; then fail "$why" 3; else fail "$why"; fi
}
done_at_carat() {
  [ "$1" = 200 ] || fail "Carat refused: $1 $(cat "$answer")"
}
# The first text of that name in the answer. With jq: jq -r .NAME
field() {
  grep -o "\"$1\":\"[^\"]*\"" "$answer" | head -n 1 | cut -d '"' -f 4
}

case "${1:-} $#" in
  'schedule-edit 3')
    ask /v1/schedule-edits "{\"sid\":\"$2\"}"
    done_at_carat "$(carat PUT "/v1/schedules/edits/$(field seid)" "{\"amount\":\"$3\"}")"
    echo "edited: $(grep -o '"schedule_edit":.*' "$answer" | cut -d '"' -f 6), amount $(field amount)"
    ;;
  'recharge 5')
    # From this answer on, the service owes Carat a decision. Without ours, it undoes the recharge.
    ask /v1/recharges "{\"merchant_usn\":\"$2\"}"
    nit=$(field nit)
    phone="{\"ddd\":\"$3\",\"number\":\"$4\"}"
    order="{\"do_recharge_request\":{\"amount\":\"$5\",\"dealer\":{\"code\":\"001\"},\"phone\":$phone}}"
    decision=undo
    status=$(call PUT "$CARAT_RECHARGE_URL/v3/recharge/$nit" "$order") &&
      [ "$status $(field status)" = '200 PPC' ] && decision=confirm
    # Repeats until the service has stored the decision. 202: the service continues automatically.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      status=$(service PUT "/v1/recharges/$nit" "{\"decision\":\"$decision\"}")
      case $status in
        200 | 202)
          end=$(field end)
          echo "recharge $2: ${end:-$decision} $(field status)"
          exit
          ;;
        000 | 503) sleep 1 ;;
        *) fail "not decided: $status $(field code)" ;;
      esac
    done
    fail 'not decided: the service undoes the recharge'
    ;;
  'generic-operation 2')
    ask /v1/generic-tokens '{}'
    parameters="{\"token\":\"$(field token)\",\"authorizer_id\":\"1\",\"terminal_id\":\"EXAMPLE1\",\"merchant_usn\":\"1\",\"subfunction\":\"01\"}"
    done_at_carat "$(carat POST /v1/genericoperations "{\"operation\":\"$2\",\"parameters\":$parameters}")"
    echo "done: code $(field code)"
    ;;
  'cancellation 4')
    ask /v1/cancellations "{\"esitef_usn\":\"$2\",\"merchant_usn\":\"$3\"}"
    # Some acquirers need the card here, too.
    done_at_carat "$(carat PUT "/v1/cancellations/$(field nit)" "{\"amount\":\"$4\"}")"
    echo "cancelled: $(field status)"
    ;;
  *) fail "$usage" 2 ;;
esac
