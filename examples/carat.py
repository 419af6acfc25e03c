"""Two calls over HTTP: to Carat, and to the service that receives its posts. Needs only Python 3.8."""
import json, os, urllib.error, urllib.request

CARAT = os.environ.get("CARAT_URL", "http://127.0.0.1:8090/e-sitef/api")
WORKER = os.environ.get("WORKER_URL", "http://127.0.0.1:8081")
CARAT_HEADERS = {
    "merchant_id": os.environ.get("CARAT_MERCHANT_ID", "LOJA1"),
    "merchant_key": os.environ.get("CARAT_MERCHANT_KEY", "CHAVE0123456789"),
}
WORKER_HEADERS = {"Authorization": f"Bearer {os.environ.get('WORKER_API_KEY', '')}"}


def ask(method, url, headers, body=None, timeout=60):
    """Returns the status and the JSON of the answer, for any status."""
    data = None if body is None else json.dumps(body).encode()
    headers = headers if data is None else {**headers, "Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            status, text = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    return status, json.loads(text) if text else {}


def carat(method, path, body=None):
    return ask(method, CARAT + path, CARAT_HEADERS, body)


def worker(method, path, body=None):
    return ask(method, WORKER + path, WORKER_HEADERS, body)
