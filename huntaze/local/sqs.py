"""Answers how the embedded SQS and CloudWatch (ministack) are started and found ready. Touches its own data folder."""

# State is written on a clean stop: queues and undelivered messages are there again after the next start, also on
# another port. After a kill -9 it knows what the last clean stop wrote; the supervisor then makes the queues anew, and
# the sweeper publishes what was lost.

import http.client
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from huntaze import env
from huntaze.local.folder import folder_make
from huntaze.local.parts import SERVICE, Part
from huntaze.local.ports import LOOPBACK

ACCOUNT = "000000000000"
QUEUE = "huntaze-rate-limiter-queue"
DEAD_LETTER_QUEUE = f"{QUEUE}-dlq"


@dataclass(frozen=True, slots=True)
class Sqs:
    home: Path
    port: int
    region: str

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def queue_url(self, name: str) -> str:
        """What CreateQueue answers too; only the path counts when it is used."""
        return f"{self.endpoint}/{ACCOUNT}/{name}"


def part(server: Sqs, *, provision: Part) -> Part:
    home = folder_make(server.home)
    return Part(
        name="sqs",
        command=(sys.executable, "-m", "huntaze.local.sqs_server"),
        env={
            "PATH": env.text("PATH", default=os.defpath),
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(server.port),
            "MINISTACK_HOST": LOOPBACK,
            "MINISTACK_REGION": server.region,
            "MINISTACK_WORKER_THREADS": "8",
            "SERVICES": "sqs,cloudwatch",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(home / "state"),
            "LOG_LEVEL": "ERROR",
            # It would also open SFTP and MQTT ports, and remove containers by their label.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "DOCKER_HOST": f"unix://{home}/no-docker",
            # Its pid file goes to the temporary folder under a name that two stacks would share.
            "TMPDIR": str(home),
        },
        stage=SERVICE,
        quiet=True,
        orphan_signal=signal.SIGTERM,
        ready=lambda: ready(server),
        after_restart=provision,
    )


def ready(server: Sqs) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=1)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
