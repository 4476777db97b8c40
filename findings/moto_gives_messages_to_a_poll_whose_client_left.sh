#!/usr/bin/env bash
# moto's server hands a message to a long poll whose client has gone; it is hidden until the visibility time-out ends.
#
# Versions: moto 5.2.5 (server), boto3 and botocore 1.44.5, Python 3.11.
#
# A worker that is killed, or whose read timed out, in the middle of a long poll leaves that request open inside the
# server. The next message goes to it, is counted as received and in flight, and reaches no other consumer until its
# visibility time-out is over (a worker's lease: minutes). So a kill -9 in a test, or in local development, costs one
# message that long although the killed worker never saw it, and raises its receive count.
#
# Output seen:
#   the client left after 1 s: ReadTimeoutError
#   a second consumer, 3 s later: 0 messages; visible 0, in flight 1
#   after the visibility time-out: 1 message, received 2 times
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'moto[server]==5.2.5' 'boto3==1.44.5' 'botocore==1.44.5'
cat > probe.py <<'PY'
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
server.start()
host, port = server.get_host_and_port()


def consumer(read_timeout=60):
    return boto3.client(
        "sqs",
        "eu-west-3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(read_timeout=read_timeout, retries={"total_max_attempts": 1}),
    )


sqs = consumer()
queue = sqs.create_queue(QueueName="probe", Attributes={"VisibilityTimeout": "8"})["QueueUrl"]
try:
    consumer(read_timeout=1).receive_message(QueueUrl=queue, WaitTimeSeconds=6)
except ReadTimeoutError as error:
    print("the client left after 1 s:", type(error).__name__)
sqs.send_message(QueueUrl=queue, MessageBody="hello")
time.sleep(3)
found = sqs.receive_message(QueueUrl=queue).get("Messages", [])
numbers = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
print(
    f"a second consumer, 3 s later: {len(found)} messages; visible {numbers['ApproximateNumberOfMessages']},"
    f" in flight {numbers['ApproximateNumberOfMessagesNotVisible']}"
)
time.sleep(6)
found = sqs.receive_message(QueueUrl=queue, AttributeNames=["ApproximateReceiveCount"]).get("Messages", [])
received = found[0]["Attributes"]["ApproximateReceiveCount"] if found else "no"
print(f"after the visibility time-out: {len(found)} message, received {received} times")
PY
venv/bin/python probe.py 2> log | grep -v '^Starting a new Thread' | tee seen
diff seen - <<'EOF'
the client left after 1 s: ReadTimeoutError
a second consumer, 3 s later: 0 messages; visible 0, in flight 1
after the visibility time-out: 1 message, received 2 times
EOF
