# Waits for the token under a merchant_data and prints it: python3 wait.py MERCHANT_DATA
import json, os, sys, urllib.parse, urllib.request

query = urllib.parse.urlencode({"merchant_data": sys.argv[1], "wait": 25})
request = urllib.request.Request(f"{os.environ['WORKER_URL']}/v1/tokens?{query}")
request.add_header("Authorization", f"Bearer {os.environ['WORKER_API_KEY']}")
with urllib.request.urlopen(request, timeout=35) as response:
    print(json.load(response)["value"] if response.status == 200 else "nothing came")
