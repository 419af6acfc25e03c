# Waits for the token under a merchant_data and prints it: python3 wait.py MERCHANT_DATA
import json, os, sys, urllib.parse, urllib.request

if len(sys.argv) != 2:
    print("usage: wait.py MERCHANT_DATA", file=sys.stderr)
    sys.exit(2)
query = urllib.parse.urlencode({"merchant_data": sys.argv[1], "wait": 25})
request = urllib.request.Request(f"{os.environ['WORKER_URL']}/v1/tokens?{query}")
request.add_header("Authorization", f"Bearer {os.environ.get('WORKER_API_KEY', '')}")
with urllib.request.urlopen(request, timeout=35) as response:
    if response.status != 200:
        print("nothing came", file=sys.stderr)
        sys.exit(3)
    print(json.load(response)["value"])
