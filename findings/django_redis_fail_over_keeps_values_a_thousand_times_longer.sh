#!/usr/bin/env bash
# django-redis writes a value for a thousand times its timeout when the first of its servers is down and the second takes it.
#
# Versions: django-redis 7.0.0, redis 8.1.0 (redis-py), Django 5.2.19, Python 3.11.
#
# With two servers and REPLICA_READ_ONLY off, set() tries the next server after an error. It makes milliseconds of the
# timeout inside that loop, so once more for each server: 300 seconds become three and a half days. It shows in a
# fail-over only: sessions, "seen" marks, locks and limits (add() goes the same way) that should end in minutes stay, and
# when the first server is back nobody finds out why.
#
# Output seen:
#   first server up: SET with PX 300000 (0:05:00)
#   first server down: SET with PX 300000000 (3 days, 11:20:00)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'django-redis==7.0.0' 'redis==8.1.0' 'Django==5.2.19'
cat > probe.py <<'PY'
import socket
import socketserver
import threading
from datetime import timedelta

from django.conf import settings

GREETINGS = {b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n"}
taken = []


class Redis(socketserver.StreamRequestHandler):
    """Says OK to each command and keeps those that are SET."""

    def handle(self):
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                words.append(self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2])
            if words[0] == b"SET":
                taken.append(words)
            self.wfile.write(GREETINGS.get(words[0], b"+OK\r\n"))


socketserver.ThreadingTCPServer.daemon_threads = True
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Redis)
threading.Thread(target=server.serve_forever, daemon=True).start()
up = f"redis://127.0.0.1:{server.server_address[1]}"
closed = socket.socket()  # holds a port and does not listen there
closed.bind(("127.0.0.1", 0))
down = f"redis://127.0.0.1:{closed.getsockname()[1]}"
settings.configure(
    CACHES={
        name: {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": servers,
            "OPTIONS": {"REPLICA_READ_ONLY": False},
        }
        for name, servers in {"default": [up, down], "first server up": [up, down], "first server down": [down, up]}.items()
    }
)

from django.core.cache import caches

for name in ("first server up", "first server down"):
    caches[name].set("greeted", "yes", timeout=300)
    command = taken.pop()
    milliseconds = int(command[command.index(b"PX") + 1])
    print(f"{name}: SET with PX {milliseconds} ({timedelta(milliseconds=milliseconds)})")
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
first server up: SET with PX 300000 (0:05:00)
first server down: SET with PX 300000000 (3 days, 11:20:00)
EOF
