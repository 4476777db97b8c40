"""Answers which processes a chaos run consists of and how short their times are. Touches one folder."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from chaos.beginning import Beginning
from chaos.plan import LIMIT, PRODUCERS, SEND_TIMEOUT_SECONDS, WORKERS, Plan
from huntaze.local import environment, stack
from huntaze.local.folder import folder_make, kept_secret
from huntaze.local.parts import SERVICE, Part
from huntaze.local.ports import LOOPBACK, answers, ports_choose
from huntaze.local.postgres import Postgres
from huntaze.local.sqs import DEAD_LETTER_QUEUE, QUEUE, Sqs
from huntaze.local.valkey import Valkey

MAX_ATTEMPTS = 20
# The product's own times, each as short as the one it depends on allows.
SHORT = {
    "RATE_LIMIT_MESSAGES": str(LIMIT.messages),
    "RATE_LIMIT_WINDOW_SECONDS": str(LIMIT.window_ms / 1_000),
    "RATE_LIMIT_MIN_GAP_SECONDS": str(LIMIT.gap_ms / 1_000),
    "RATE_LIMITED_PAUSE_SECONDS": "3",
    "SEND_TIMEOUT_SECONDS": str(SEND_TIMEOUT_SECONDS),
    "SEND_LEASE_SECONDS": str(LIMIT.lease_ms / 1_000),
    "SEND_BACKOFF_SECONDS": "1",
    "SEND_BACKOFF_MAX_SECONDS": "4",
    "SEND_MAX_ATTEMPTS": str(MAX_ATTEMPTS),
    "BREAKER_SECONDS": "1",
    "BREAKER_MAX_SECONDS": "4",
    "SQS_VISIBILITY_TIMEOUT_SECONDS": "6",
    "SWEEP_EVERY_SECONDS": "1",
    "SWEEP_PENDING_AFTER_SECONDS": "2",
    "SWEEP_OVERDUE_AFTER_SECONDS": "10",
    "WORKER_CONCURRENCY": "8",
    "DATABASE_POOL_SIZE": "10",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a run's services answer and its files lie. Valkey forgets when it is killed, PostgreSQL must not."""

    home: Path
    postgres: Postgres
    valkey: Valkey
    sqs: Sqs
    proxy_port: int
    vendor_port: int

    @property
    def vendor_data(self) -> Path:
        return self.home / "vendor.sqlite3"

    @property
    def beginning(self) -> Beginning:
        return Beginning(self.home / "beginning")

    def journal(self, number: int) -> Path:
        return self.home / f"producer-{number}.jsonl"


def stage_make(home: Path) -> Stage:
    ports = ports_choose(dict.fromkeys(("postgres", "valkey", "sqs", "proxy", "vendor"), 0))
    folder_make(home / "postgres")
    kept_secret(home / "postgres" / "password")
    return Stage(
        home=home,
        postgres=Postgres(home / "postgres", ports["postgres"], durable=True),
        valkey=Valkey(home / "valkey", ports["valkey"], durable=False),
        sqs=Sqs(home / "sqs", ports["sqs"], region=environment.REGION),
        proxy_port=ports["proxy"],
        vendor_port=ports["vendor"],
    )


def variables(stage: Stage) -> dict[str, str]:
    """The environment of every process of the product."""
    proxy = f"http://{LOOPBACK}:{stage.proxy_port}"
    path = stage.sqs.queue_url("")
    values = {
        **SHORT,
        "LOCAL": "true",
        "SECRET_KEY": "chaos",
        "FIELD_ENCRYPTION_SALT": "chaos",
        "CLOUDWATCH_NAMESPACE": "",
        "DATABASE_URL": stage.postgres.url,
        "REDIS_ENDPOINT": stage.valkey.endpoint,
        "AWS_REGION": stage.sqs.region,
        "AWS_ENDPOINT_URL": proxy,
        "AWS_ACCESS_KEY_ID": "chaos",
        "AWS_SECRET_ACCESS_KEY": "chaos",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SQS_RATE_LIMITER_QUEUE_URL": path.replace(stage.sqs.endpoint, proxy) + QUEUE,
        "SQS_RATE_LIMITER_DLQ_URL": path.replace(stage.sqs.endpoint, proxy) + DEAD_LETTER_QUEUE,
        "ONLYFANS_API_BASE_URL": f"http://{LOOPBACK}:{stage.vendor_port}",
        "LOG_LEVEL": "INFO",
    }
    return environment.child_environment(values, local_aws=True)


def proxy(stage: Stage, plan: Plan, child: Mapping[str, str]) -> Part:
    """microburst before ministack; it lets everything pass until it is given rules."""
    words = ("--host", LOOPBACK, "--port", str(stage.proxy_port), "--upstream", stage.sqs.endpoint)
    return Part(
        name="microburst",
        command=(sys.executable, "-m", "chaos.sqs_proxy", str(plan.seed), *words),
        env=child,
        stage=SERVICE,
        quiet=True,
        ready=lambda: answers(stage.proxy_port),
    )


def proxy_rules_set(stage: Stage, plan: Plan, *, begin: float) -> None:
    """The proxy injects faults from `begin`, in seconds of the epoch, for as long as the storm lasts."""
    rules = [{**rule, "until": begin + plan.seconds} for rule in plan.sqs_rules]
    httpx.post(f"http://{LOOPBACK}:{stage.proxy_port}/_microburst/rules", json=rules, timeout=30).raise_for_status()


def vendor(stage: Stage, plan: Plan, child: Mapping[str, str]) -> Part:
    words = ("--port", str(stage.vendor_port), "--data", str(stage.vendor_data))
    return Part(
        name="vendor",
        command=(sys.executable, "-m", "chaos.vendor", *_plan_words(stage, plan), *words),
        env=child,
        stage=SERVICE,
        ready=lambda: answers(stage.vendor_port),
    )


def prepare(stage: Stage, child: Mapping[str, str]) -> Part:
    """Tables and queues, made past the proxy."""
    command = (sys.executable, "-m", "huntaze.local.prepare", "--tables", "--queues-port", str(stage.sqs.port))
    return Part(
        name="prepare",
        command=command,
        env={**child, "AWS_ENDPOINT_URL": stage.sqs.endpoint},
        restarts=False,
    )


def cast(stage: Stage, child: Mapping[str, str]) -> Part:
    command = (sys.executable, "-m", "chaos.cast", str(stage.vendor_data))
    return Part(name="cast", command=command, env=child, restarts=False)


def product(child: Mapping[str, str]) -> list[Part]:
    workers = [
        Part(name=f"worker-{number}", command=(*stack.MANAGE, "run_worker"), env=child) for number in range(WORKERS)
    ]
    return [*workers, Part(name="sweeper", command=(*stack.MANAGE, "sweep", "--forever"), env=child)]


def producers(stage: Stage, plan: Plan, child: Mapping[str, str]) -> list[Part]:
    return [
        Part(
            name=f"producer-{number}",
            command=(
                *(sys.executable, "-m", "chaos.producer", *_plan_words(stage, plan)),
                *("--number", str(number), "--journal", str(stage.journal(number))),
            ),
            env=child,
        )
        for number in range(PRODUCERS)
    ]


def _plan_words(stage: Stage, plan: Plan) -> tuple[str, ...]:
    words = ("--seed", str(plan.seed), "--minutes", str(plan.seconds / 60))
    return (*words, "--beginning", str(stage.beginning.path))
