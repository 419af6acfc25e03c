# Takes a token of a generic operation, uses it, and says so: python3 claim.py JOB_ID
import json, os, sys, urllib.request

if len(sys.argv) != 2:
    print("usage: claim.py JOB_ID", file=sys.stderr)
    sys.exit(2)

def ask(method, body=None):
    request = urllib.request.Request(f"{os.environ['WORKER_URL']}/v1/claims/{sys.argv[1]}", method=method)
    request.add_header("Authorization", f"Bearer {os.environ.get('WORKER_API_KEY', '')}")
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request, timeout=35) as response:
        return json.load(response) if response.status == 200 else None

token = ask("PUT", {"kind": "token", "wait": 25})
if token is None:
    print("nothing came", file=sys.stderr)
    sys.exit(3)
print(token["value"])  # … POST /v1/genericoperations with it …
ask("DELETE")
