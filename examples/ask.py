"""Asks Carat through the service, one call for each flow, and continues with the token:

python3 examples/ask.py schedule-edit SID AMOUNT
python3 examples/ask.py recharge USN DDD NUMBER AMOUNT
python3 examples/ask.py generic-operation OPERATION
python3 examples/ask.py cancellation ESITEF_USN USN AMOUNT

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no token came.
"""
import os, sys, time
from carat import ask, carat, worker

RECHARGE = os.environ.get("CARAT_RECHARGE_URL", "http://127.0.0.1:8090/e-sitef")


def fail(why, code=1):
    print(why, file=sys.stderr)
    sys.exit(code)


def ask_service(path, body):
    status, answer = worker("POST", path, body)
    if status != 201:
        fail(f"no token: {status} {answer.get('code')}: {answer.get('detail')}", 3 if status == 504 else 1)
    return answer


def done(status, answer, expected=200):
    if status != expected:
        fail(f"Carat refused: {status} {answer}")
    return answer


def schedule_edit(sid, amount):
    edit = ask_service("/v1/schedule-edits", {"sid": sid})
    answer = done(*carat("PUT", f"/v1/schedules/edits/{edit['seid']}", {"amount": amount}))
    print(f"edited: {answer['schedule_edit']['status']}, amount {answer['schedule']['amount']}")


def recharge(usn, ddd, number, amount):
    # From here on, the service owes Carat a decision. Without ours, it undoes the recharge.
    nit = ask_service("/v1/recharges", {"merchant_usn": usn})["nit"]
    order = {"amount": amount, "dealer": {"code": "001"}, "phone": {"ddd": ddd, "number": number}}
    try:
        status, answer = ask("PUT", f"{RECHARGE}/v3/recharge/{nit}", {}, {"do_recharge_request": order})
        decision = "confirm" if status == 200 and answer["do_recharge_response"]["status"] == "PPC" else "undo"
    except (OSError, ValueError, KeyError):
        decision = "undo"
    end = decide(nit, decision)
    print(f"recharge {usn}: {end}")


def decide(nit, decision):
    """Repeats until the service has stored the decision. 202: the service continues automatically."""
    for _ in range(10):
        try:
            status, answer = worker("PUT", f"/v1/recharges/{nit}", {"decision": decision})
            if status in (200, 202):
                return f"{answer['end'] or decision} {answer['status'] or ''}"
            if status != 503:
                fail(f"not decided: {status} {answer.get('code')}")
        except OSError:
            pass
        time.sleep(1)
    fail("not decided: the service undoes the recharge")


def generic_operation(operation):
    token = ask_service("/v1/generic-tokens", {})["token"]
    parameters = {"token": token, "authorizer_id": "1", "terminal_id": "EXAMPLE1", "merchant_usn": "1", "subfunction": "01"}
    answer = done(*carat("POST", "/v1/genericoperations", {"operation": operation, "parameters": parameters}))
    print(f"done: code {answer['code']}")


def cancellation(esitef_usn, usn, amount):
    nit = ask_service("/v1/cancellations", {"esitef_usn": esitef_usn, "merchant_usn": usn})["nit"]
    # Some acquirers need the card here, too.
    answer = done(*carat("PUT", f"/v1/cancellations/{nit}", {"amount": amount}))
    print(f"cancelled: {answer['cancellation']['status']}")


FLOWS = {
    "schedule-edit": (schedule_edit, 2),
    "recharge": (recharge, 4),
    "generic-operation": (generic_operation, 1),
    "cancellation": (cancellation, 3),
}
flow, count = FLOWS.get(sys.argv[1] if len(sys.argv) > 1 else "", (None, 0))
if flow is None or len(sys.argv) != count + 2:
    fail(__doc__.strip(), 2)
flow(*sys.argv[2:])
