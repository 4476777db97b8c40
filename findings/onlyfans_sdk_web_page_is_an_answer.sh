#!/usr/bin/env bash
# The OnlyFansAPI SDK returns a str, without an error, where the vendor's address answers 200 with a web page.
#
# Versions: onlyfans 0.2.0 (import onlyfansapi), Python 3.11.
#
# Methods are annotated to return a model. A 200 with text/html (a maintenance page, a captive portal, a parked domain)
# comes back as the page's text, and JSON of another shape as a model whose fields are None: both look like success until
# an attribute is read, and the second even then. Only the undocumented argument _strict_response_validation=True makes
# them an APIResponseValidationError.
#
# Output seen:
#   web page: returned str
#   JSON of another shape: returned MessageSendResponse, data=None
#   web page, strict: raised APIResponseValidationError
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'onlyfans==0.2.0'
cat > probe.py <<'PY'
import http.server
import threading

from onlyfansapi import OnlyFansAPI

PAGE = ("text/html", b"<html><body>We will be back soon.</body></html>")
OTHER = ("application/json", b'{"message": "We will be back soon."}')


class Vendor(http.server.BaseHTTPRequestHandler):
    answer = PAGE

    def log_message(self, *args):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        kind, body = self.answer
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
threading.Thread(target=server.serve_forever, daemon=True).start()


def send(**options):
    client = OnlyFansAPI(
        api_key="key", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0, **options
    )
    return client.chats.messages.send("1", account="acct_1", text="hello")


print("web page: returned", type(send()).__name__)
Vendor.answer = OTHER
answer = send()
print(f"JSON of another shape: returned {type(answer).__name__}, data={answer.data}")
Vendor.answer = PAGE
try:
    send(_strict_response_validation=True)
except Exception as error:
    print("web page, strict: raised", type(error).__name__)
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
web page: returned str
JSON of another shape: returned MessageSendResponse, data=None
web page, strict: raised APIResponseValidationError
EOF
