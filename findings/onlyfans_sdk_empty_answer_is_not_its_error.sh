#!/usr/bin/env bash
# The OnlyFansAPI SDK raises json.JSONDecodeError, none of its own errors, for a 2xx answer without a body.
#
# Versions: onlyfans 0.2.0 (import onlyfansapi), Python 3.11.
#
# Every other trouble (no connection, time-out, any error status) is a subclass of onlyfansapi.OnlyFansAPIError, and the
# README shows code that catches that class. A 200 or 204 that says application/json and has no body, as a proxy answers
# after it has passed a request on, escapes it. For a send this is the dangerous half: the message may be out, and the
# exception that says so passes every handler for the SDK's errors. Retries do not see it either.
#
# Output seen:
#   500: InternalServerError, an OnlyFansAPIError: True
#   200 without a body: JSONDecodeError, an OnlyFansAPIError: False
#   204 without a body: JSONDecodeError, an OnlyFansAPIError: False
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'onlyfans==0.2.0'
cat > probe.py <<'PY'
import http.server
import threading

from onlyfansapi import OnlyFansAPI, OnlyFansAPIError


class Vendor(http.server.BaseHTTPRequestHandler):
    status = 200

    def log_message(self, *args):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "0")
        self.end_headers()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = OnlyFansAPI(api_key="key", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0)
for status in (500, 200, 204):
    Vendor.status = status
    try:
        client.chats.messages.send("1", account="acct_1", text="hello")
    except Exception as error:
        words = f"{status}{'' if status == 500 else ' without a body'}: {type(error).__name__}"
        print(f"{words}, an OnlyFansAPIError: {isinstance(error, OnlyFansAPIError)}")
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
500: InternalServerError, an OnlyFansAPIError: True
200 without a body: JSONDecodeError, an OnlyFansAPIError: False
204 without a body: JSONDecodeError, an OnlyFansAPIError: False
EOF
