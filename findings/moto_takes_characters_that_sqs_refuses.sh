#!/usr/bin/env bash
# moto takes a message body with a control character, which SQS refuses with InvalidMessageContents.
#
# Versions: moto 5.2.5, boto3 and botocore 1.44.5, Python 3.11.
#
# The reference of SendMessage (also in botocore's own service model, which this script reads) allows #x9, #xA, #xD and
# #x20 upwards in a body and says that anything else is rejected. moto queues it, alone and in a batch, and gives it back
# unchanged. So tests on moto pass for a producer that puts people's text into bodies as it is, and production loses the
# message of the person who pasted a vertical tab out of a word processor. A body that is ASCII-only JSON is safe.
#
# Output seen:
#   the model of SQS names the error: True
#   moto, alone: taken, body given back unchanged: True
#   moto, in a batch: 2 taken, 0 refused
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'moto[sqs]==5.2.5' 'boto3==1.44.5' 'botocore==1.44.5'
cat > probe.py <<'PY'
import boto3
from botocore.loaders import Loader
from moto import mock_aws

model = Loader().load_service_model("sqs", "service-2")
body_text = model["shapes"]["SendMessageRequest"]["members"]["MessageBody"]["documentation"]
print("the model of SQS names the error:", "InvalidMessageContents" in body_text)

with mock_aws():
    sqs = boto3.client("sqs", "eu-west-3", aws_access_key_id="testing", aws_secret_access_key="testing")
    queue = sqs.create_queue(QueueName="probe")["QueueUrl"]
    body = "two lines\x0bof a word processor"
    sqs.send_message(QueueUrl=queue, MessageBody=body)
    [back] = sqs.receive_message(QueueUrl=queue)["Messages"]
    print("moto, alone: taken, body given back unchanged:", back["Body"] == body)
    answer = sqs.send_message_batch(
        QueueUrl=queue, Entries=[{"Id": "1", "MessageBody": "plain"}, {"Id": "2", "MessageBody": body}]
    )
    print(f"moto, in a batch: {len(answer['Successful'])} taken, {len(answer.get('Failed', []))} refused")
PY
venv/bin/python probe.py | tee seen
diff seen - <<'EOF'
the model of SQS names the error: True
moto, alone: taken, body given back unchanged: True
moto, in a batch: 2 taken, 0 refused
EOF
