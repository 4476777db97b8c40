"""Answers whether what ships is what the code needs: image, compose file, AWS template. Touches files and moto."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from messaging import metrics, queue, queue_setup, vitals

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "deploy" / "template.yaml"
# What moto's CloudFormation makes of it; the alarms are put one by one.
IN_MOTO = ("AWS::SQS::Queue", "AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::EC2::SecurityGroup")
ALARM = "AWS::CloudWatch::Alarm"
PARAMETERS = {
    "ImageUri": "123456789012.dkr.ecr.eu-west-3.amazonaws.com/huntaze@sha256:0",
    "VpcId": "vpc-1",
    "SubnetIds": "subnet-1,subnet-2",
    "SettingsSecretArn": "arn:aws:secretsmanager:eu-west-3:123456789012:secret:huntaze",
    "SiteHost": "crm.example.com",
    "AlarmEmail": "operators@example.com",
    "Consumer": "worker",
}


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as their long ones, so that the file can be cut and written again."""


def _long(loader: Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt":
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _long)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(TEMPLATE.read_text(), Loader=Loader)  # noqa: S506  a SafeLoader's child
    return found


@pytest.fixture(scope="module")
def stack(template: dict[str, Any]) -> Iterator[str]:
    """The template as far as moto makes it, in a region of its own; gives the region."""
    region = "eu-west-1"
    cut = {key: value for key, value in template.items() if key not in {"Transform", "Globals", "Outputs"}}
    cut["Resources"] = {name: each for name, each in template["Resources"].items() if each["Type"] in IN_MOTO}
    with moto.mock_aws(config={"core": {"reset_boto3_session": False}}):
        ec2 = boto3.session.Session().client("ec2", region_name=region)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        boto3.session.Session().client("cloudformation", region_name=region).create_stack(
            StackName="huntaze",
            TemplateBody=yaml.safe_dump(cut),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": vpc if name == "VpcId" else value}
                for name, value in PARAMETERS.items()
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
        yield region


def queues_of(region: str) -> dict[str, dict[str, str]]:
    """By name, what was asked for of each queue: its address, age and content are its own."""
    client = boto3.session.Session().client("sqs", region_name=region)
    found = {}
    for url in client.list_queues()["QueueUrls"]:
        attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        attributes.pop("CreatedTimestamp")
        attributes.pop("LastModifiedTimestamp")
        found[url.rsplit("/", 1)[-1]] = {name: re.sub(r"arn:[^\"]*:", "", text) for name, text in attributes.items()}
    return found


def test_the_template_is_clean() -> None:
    done = subprocess.run([Path(sys.executable).parent / "cfn-lint", TEMPLATE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_templates_queues_are_those_that_the_command_provisions(stack: str, settings: Any) -> None:
    settings.AWS_REGION, settings.AWS_ENDPOINT_URL = "eu-central-1", ""
    queue_setup.queues_provision()
    assert queues_of(stack) == queues_of("eu-central-1")
    assert set(queues_of(stack)) == {queue_setup.QUEUE_NAME, queue_setup.DLQ_NAME}


def alarms_of(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [each["Properties"] for each in template["Resources"].values() if each["Type"] == ALARM]


def plain(value: Any, template: dict[str, Any]) -> Any:
    """A property with the references of an alarm resolved: to a queue's name, a parameter's default or any name."""
    match value:
        case {"Fn::GetAtt": [name, "QueueName"]}:
            return template["Resources"][name]["Properties"]["QueueName"]
        case {"Ref": name}:
            return template["Parameters"].get(name, {}).get("Default", f"arn:aws:sns:eu-west-1:123456789012:{name}")
        case dict():
            return {key: plain(each, template) for key, each in value.items()}
        case list():
            return [plain(each, template) for each in value]
    return value


def test_cloudwatch_takes_every_alarm(stack: str, template: dict[str, Any]) -> None:
    client = boto3.session.Session().client("cloudwatch", region_name=stack)
    for properties in alarms_of(template):
        client.put_metric_alarm(**plain(properties, template))
    made = {alarm["AlarmName"]: alarm for alarm in client.describe_alarms()["MetricAlarms"]}
    assert set(made) == {each["AlarmName"] for each in alarms_of(template)}
    depth = made["huntaze-queue-depth"]
    assert (depth["Threshold"], depth["ComparisonOperator"]) == (100, "GreaterThanThreshold")
    assert depth["Dimensions"] == [{"Name": "QueueName", "Value": queue_setup.QUEUE_NAME}]


def test_every_alarm_watches_a_metric_that_is_put_and_has_an_entry_in_the_runbook(template: dict[str, Any]) -> None:
    ours = {*metrics.COUNTED, vitals.DEPTH, vitals.DLQ_DEPTH, vitals.OUTBOX_AGE, *metrics.DURATIONS}
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    for properties in alarms_of(template):
        assert set(re.findall(r"'MetricName': '(OnlyFans\w+)'", repr(properties))) <= ours
        assert f"## {properties['AlarmName']}\n" in runbook


def test_the_roles_allow_what_is_called_on_the_two_queues_alone(stack: str) -> None:
    iam = boto3.session.Session().client("iam", region_name=stack)
    statements: dict[str, list[dict[str, Any]]] = {}
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"].split("-")[1]
        policy = iam.get_role_policy(RoleName=role["RoleName"], PolicyName="queue")["PolicyDocument"]
        # moto answers it as Python prints it, which is YAML too.
        statements[name] = (yaml.safe_load(policy) if isinstance(policy, str) else policy)["Statement"]
    assert set(statements) == {"ConsumerRole", "SweeperRole"}
    for each in [statement for found in statements.values() for statement in found]:
        assert each["Resource"].startswith("arn:aws:sqs:")
        assert all(re.fullmatch(r"sqs:[A-Z]\w+", action) for action in each["Action"])


# By who calls it, what messaging/queue.py is asked for on the queue and on the dead letters.
RIGHTS = {
    # Lambda itself receives, deletes and looks; the function puts back and buries.
    "ConsumerRole": ({"ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "SendMessage"}, {"SendMessage"}),
    "SweeperRole": (
        {"SendMessage", "GetQueueAttributes"},
        {"ReceiveMessage", "ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes"},
    ),
    "WebPolicy": (
        {"SendMessage", "GetQueueAttributes"},
        {"ReceiveMessage", "ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes"},
    ),
    "WorkerPolicy": ({"ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "SendMessage"}, {"SendMessage"}),
}


@pytest.mark.parametrize("name", RIGHTS)
def test_each_right_is_one_that_is_used(name: str, template: dict[str, Any]) -> None:
    properties = template["Resources"][name]["Properties"]
    documents = [each["PolicyDocument"] for each in properties.get("Policies", [properties])]
    found: dict[str, set[str]] = {"Queue": set(), "DeadLetterQueue": set()}
    for statement in [each for document in documents for each in document["Statement"]]:
        if isinstance(statement["Resource"], dict):
            found[statement["Resource"]["Fn::GetAtt"][0]] |= {action.split(":")[1] for action in statement["Action"]}
        else:
            assert statement["Action"] in {"cloudwatch:PutMetricData", "cloudwatch:GetMetricData"}
    assert tuple(found.values()) == RIGHTS[name]


def test_what_the_code_asks_of_sqs_somebody_may_do() -> None:
    asked = set(re.findall(r"client\([^()]*\)\.(\w+)\(", (ROOT / "messaging" / "queue.py").read_text()))
    actions = {"".join(word.capitalize() for word in each.removesuffix("_batch").split("_")) for each in asked}
    assert actions == set.union(*(each for both in RIGHTS.values() for each in both))


def test_the_consumer_answers_for_each_message_and_is_never_throttled(template: dict[str, Any]) -> None:
    function = template["Resources"]["ConsumerFunction"]["Properties"]
    batch = function["Events"]["Batch"]["Properties"]
    assert batch["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert batch["ScalingConfig"]["MaximumConcurrency"] == function["ReservedConcurrentExecutions"]
    assert batch["BatchSize"] <= queue.BATCH_MAX_ENTRIES
    visibility = template["Resources"]["Queue"]["Properties"]["VisibilityTimeout"]
    assert visibility >= 6 * function["Timeout"]


@pytest.mark.parametrize(
    "command",
    [["hadolint", "Dockerfile"], ["compose-lint", "check", "--fail-on", "medium", "compose.yaml"]],
)
def test_the_image_and_the_compose_file_are_clean(command: list[str]) -> None:
    tool, *arguments = command
    done = subprocess.run([Path(sys.executable).parent / tool, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_web_server_keeps_an_idle_connection_for_longer_than_the_proxy() -> None:
    found = re.search(r"--timeout-keep-alive (\d+)", (ROOT / "Dockerfile").read_text())
    # Caddy's `keepalive` is two minutes: https://caddyserver.com/docs/caddyfile/directives/reverse_proxy
    assert found
    assert int(found[1]) > 120


def test_the_compose_file_runs_commands_that_there_are() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    texts = [" ".join(each["command"]) for each in services.values() if "command" in each]
    named = {name for text in texts for name in re.findall(r"manage\.py (\w+)", text)}
    assert {"run_worker", "sweep", "run_events", "migrate", "provision_queues"} <= named <= set(get_commands())


def test_the_compose_file_passes_on_only_settings_that_there_are() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    known = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert set(services["worker"]["environment"]) - {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= known


def test_what_env_says_reaches_every_process_that_compose_starts() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for name in ("prepare", "web", "worker", "sweeper", "events", "jobs", "sync"):
        # Such as RATE_LIMITER_ENABLED=false before messages go out from a restored database.
        assert services[name]["env_file"] == [{"path": ".env", "required": False}], name


def test_the_image_has_no_tests_and_no_local_data() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {"**/tests"} <= set(rules)
    assert not {"!.env", "!.local", "!.git", "!."} & set(rules)


def test_the_image_has_what_the_pages_read_at_run_time() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{path.relative_to(ROOT)}" for path in settings.LOCALE_PATHS} <= set(rules)
    assert "!docs/analytics*.md" in rules
