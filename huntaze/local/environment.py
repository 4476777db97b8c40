"""Answers which services are configured already, and which settings the local stack adds. Touches stack.env."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huntaze import env
from huntaze.local import folder
from huntaze.local.ports import LOOPBACK, ports_choose
from huntaze.local.postgres import Postgres
from huntaze.local.sqs import DEAD_LETTER_QUEUE, QUEUE, Sqs
from huntaze.local.valkey import Valkey

PORTS = {"web": 8000, "simulator": 8001, "postgres": 5433, "valkey": 6380, "sqs": 4566}
REGION = "eu-west-3"


@dataclass(frozen=True, slots=True)
class Plan:
    """What this stack runs itself; None where the environment names another."""

    local: Path
    host: str
    wanted: Mapping[str, int]
    ports: Mapping[str, int]
    postgres: Postgres | None
    valkey: Valkey | None
    sqs: Sqs | None
    simulator: bool

    @property
    def web(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.ports['web']}"

    @property
    def simulator_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports['simulator']}"

    def port_note(self, name: str) -> str:
        """What to say where a part does not listen on its usual port."""
        wanted = self.wanted[name]
        return "" if wanted in (0, self.ports[name]) else f"   (port {wanted} is taken)"


def plan(local: Path) -> Plan:
    """Look at the environment, part by part. Call it after `.env` was read and without an old stack.env in it."""
    host = env.text("HOST", default=LOOPBACK)
    web = env.integer("PORT", default=PORTS["web"], minimum=1, maximum=65_535)
    # Two stacks that start at the same moment, as tests do, would both find the usual ports free.
    usual = not env.boolean("HUNTAZE_LOCAL_ANY_PORT", default=False)
    wanted = {**(PORTS if usual else dict.fromkeys(PORTS, 0)), "web": web}
    ports = {**ports_choose({"web": web}, host=host)}
    ports |= ports_choose({name: port for name, port in wanted.items() if name != "web"})
    sqs_configured = env.text("SQS_RATE_LIMITER_QUEUE_URL") and env.text("AWS_REGION")
    return Plan(
        local=local,
        host=host,
        wanted=wanted,
        ports=ports,
        postgres=None
        if env.text("DATABASE_URL")
        else Postgres(folder.postgres_home(local), ports["postgres"], durable=True),
        valkey=None if env.text("REDIS_ENDPOINT") else Valkey(local / "valkey", ports["valkey"], durable=True),
        sqs=None if sqs_configured else Sqs(local / "sqs", ports["sqs"], region=env.text("AWS_REGION", default=REGION)),
        simulator=not env.text("ONLYFANS_API_BASE_URL"),
    )


def settings_of(plan: Plan) -> dict[str, str]:
    """The variables that the stack stands in for; the password files must exist."""
    values = {
        "LOCAL": "true",
        "SECRET_KEY": folder.kept_secret(plan.local / "secret_key"),
        "FIELD_ENCRYPTION_SALT": folder.kept_secret(plan.local / "encryption_salt"),
        "CLOUDWATCH_NAMESPACE": "Huntaze",
    }
    values = {name: value for name, value in values.items() if not env.text(name)}
    if plan.postgres is not None:
        values["DATABASE_URL"] = plan.postgres.url
    if plan.valkey is not None:
        values["REDIS_ENDPOINT"] = plan.valkey.endpoint
    if plan.sqs is not None:
        values |= {
            "AWS_REGION": plan.sqs.region,
            "AWS_ENDPOINT_URL": plan.sqs.endpoint,
            # Real keys from the machine's own profile have no business here.
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "SQS_RATE_LIMITER_QUEUE_URL": plan.sqs.queue_url(QUEUE),
            "SQS_RATE_LIMITER_DLQ_URL": plan.sqs.queue_url(DEAD_LETTER_QUEUE),
        }
    if plan.simulator:
        values["ONLYFANS_API_BASE_URL"] = plan.simulator_url
    return values


def child_environment(values: Mapping[str, str], *, local_aws: bool) -> dict[str, str]:
    """The environment for a part: ours passed on, with the stack's values in it and no env file to read."""
    dropped = {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_PROFILE"} if local_aws else set()
    passed_on = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**passed_on, **values, "HUNTAZE_ENV_FILES": "false", "PYTHONUNBUFFERED": "1"}


def file_write(path: Path, values: Mapping[str, str]) -> None:
    """Write stack.env, readable by us alone from its first byte."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("# Written by `make run` while the stack runs, for manage.py in another terminal.\n")
        file.writelines(f"{name}={value}\n" for name, value in values.items())
