"""Waits for a SEID: changes the amount of a schedule, in cents: python3 examples/edit_schedule.py SID [AMOUNT]"""
import sys
from carat import carat, worker

if len(sys.argv) < 2:
    print("usage: edit_schedule.py SID [AMOUNT]", file=sys.stderr)
    sys.exit(2)
sid, amount = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "5990"

# An announced post has an unguessable merchant_data, and the service reports its absence.
status, expected = worker("POST", "/v1/expectations", {"kind": "seid"})
if status != 201:
    sys.exit(f"cannot announce: {expected}")
data = expected["merchant_data"]

status, asked = carat("POST", "/v1/schedules/edits", {"sid": sid, "merchant_data": data})
if status != 201:
    worker("DELETE", f"/v1/expectations/{expected['id']}")
    sys.exit(f"Carat refused: {asked}")

# Carat posted the SEID during that call: it is usually there already. Wait up to 25 s for it.
status, token = worker("GET", f"/v1/tokens?merchant_data={data}&kind=seid&wait=25")
if status != 200:
    sys.exit(f"no SEID: {status} {token.get('code', '')}")

status, edited = carat("PUT", f"/v1/schedules/edits/{token['value']}", {"amount": amount})
worker("DELETE", f"/v1/tokens/{token['id']}")
if status != 200:
    sys.exit(f"not edited: {edited}")
print(f"edited: {edited['schedule_edit']['status']}, amount {edited['schedule']['amount']}")
