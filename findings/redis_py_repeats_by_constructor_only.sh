#!/usr/bin/env bash
# redis-py: Redis(host=…) sends a command up to eleven times when answers are late, Redis.from_url(…) sends it once.
#
# Versions: redis 8.1.0 (redis-py), Python 3.11.
#
# The constructor has a default retry of ten repetitions with back-off, for time-outs too; from_url builds its pool without
# it. So the two spellings of one address differ in how long a caller waits (twenty times the socket time-out and more)
# and in what happens at the server: a repeated INCR, LPUSH or script has run each time that only the answer was late.
# Counters and queues go wrong, and a guard with a time-out of 0.3 s blocks its caller for 6 s.
#
# Output seen:
#   Redis(host, port): INCRBY taken 11 times, caller waited more than ten time-outs: True
#   Redis.from_url(url): INCRBY taken 1 times, caller waited more than ten time-outs: False
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'redis==8.1.0'
cat > probe.py <<'PY'
import socketserver
import threading
import time

import redis

TIMEOUT = 0.3
GREETINGS = {b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n", b"CLIENT": b"+OK\r\n", b"SELECT": b"+OK\r\n"}
taken = []


class Late(socketserver.StreamRequestHandler):
    """Takes each command; answers greetings alone."""

    def handle(self):
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                words.append(self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2])
            if words[0].upper() in GREETINGS:
                self.wfile.write(GREETINGS[words[0].upper()])
            else:
                taken.append(words[0].decode())


socketserver.ThreadingTCPServer.daemon_threads = True
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Late)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_address[1]
clients = {
    "Redis(host, port)": redis.Redis(host="127.0.0.1", port=port, socket_timeout=TIMEOUT),
    "Redis.from_url(url)": redis.Redis.from_url(f"redis://127.0.0.1:{port}", socket_timeout=TIMEOUT),
}
for name, client in clients.items():
    taken.clear()
    began = time.monotonic()
    try:
        client.incr("hits")
    except redis.TimeoutError:
        waited = time.monotonic() - began
    print(f"{name}: {taken[0]} taken {len(taken)} times, caller waited more than ten time-outs: {waited > 10 * TIMEOUT}")
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
Redis(host, port): INCRBY taken 11 times, caller waited more than ten time-outs: True
Redis.from_url(url): INCRBY taken 1 times, caller waited more than ten time-outs: False
EOF
