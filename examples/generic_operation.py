"""Claims a token: runs a generic operation: python3 examples/generic_operation.py JOB_ID [OPERATION]"""
import sys
from carat import carat, worker

if len(sys.argv) < 2:
    print("usage: generic_operation.py JOB_ID [OPERATION]", file=sys.stderr)
    sys.exit(2)
job = sys.argv[1]
operation = sys.argv[2] if len(sys.argv) > 2 else "100"

# With ACCEPT=expected, only an announced token is handed out.
status, place = worker("POST", "/v1/expectations", {"kind": "token"})
if status != 201:
    sys.exit(f"cannot announce: {place}")
status, asked = carat("GET", "/v1/token")
if status != 200:
    worker("DELETE", f"/v1/expectations/{place['id']}")
    sys.exit(f"Carat refused: {asked}")

# The claim is exclusive for a minute. The same job id gets the same token again.
status, token = worker("PUT", f"/v1/claims/{job}", {"kind": "token", "wait": 25, "lease": 60})
if status != 200:
    sys.exit(f"no token: {status} {token.get('code', '')}")

# Carat burns the token before the operation runs: from here on it is used, with any result.
worker("DELETE", f"/v1/claims/{job}")
parameters = {"token": token["value"], "authorizer_id": "1", "terminal_id": "EXAMPLE1", "merchant_usn": "1", "subfunction": "01"}
status, done = carat("POST", "/v1/genericoperations", {"operation": operation, "parameters": parameters})
if status != 200:
    sys.exit(f"not done, ask for a new token: {done}")
print(f"done: code {done['code']}")
