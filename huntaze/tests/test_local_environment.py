"""Answers whether the local stack starts only what is not configured, and says the rest. Touches a temporary folder."""

import stat

import environ
import pytest

from huntaze.local import environment, summary
from huntaze.local.postgres import Postgres

CONFIGURED = {
    "DATABASE_URL": "postgres://me:hidden@db.example.com/crm",
    "REDIS_ENDPOINT": "rediss://:hidden@cache.example.com:6379",
    "AWS_REGION": "eu-west-1",
    "SQS_RATE_LIMITER_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/queue",
    "ONLYFANS_API_BASE_URL": "https://vendor.example.com",
}


@pytest.fixture
def local(tmp_path, monkeypatch):
    for name in (*CONFIGURED, "HOST", "PORT", "LOCAL", "SECRET_KEY", "FIELD_ENCRYPTION_SALT", "CLOUDWATCH_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(environment.folder, "postgres_home", lambda local: local / "postgres")
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "password").write_text("pass-word")
    return tmp_path


def test_with_nothing_configured_everything_is_started(local):
    plan = environment.plan(local)
    assert isinstance(plan.postgres, Postgres)
    assert plan.valkey
    assert plan.sqs
    assert plan.simulator


def test_with_everything_configured_nothing_is_started(local, monkeypatch):
    for name, value in CONFIGURED.items():
        monkeypatch.setenv(name, value)
    plan = environment.plan(local)
    assert (plan.postgres, plan.valkey, plan.sqs, plan.simulator) == (None, None, None, False)
    assert not environment.settings_of(plan).keys() & CONFIGURED.keys()


@pytest.mark.parametrize("name", ["AWS_REGION", "SQS_RATE_LIMITER_QUEUE_URL"])
def test_half_a_queue_is_no_queue(local, monkeypatch, name):
    monkeypatch.setenv(name, CONFIGURED[name])
    assert environment.plan(local).sqs is not None


def test_a_secret_in_a_file_counts_as_configured(local, monkeypatch):
    (local / "url").write_text(CONFIGURED["DATABASE_URL"])
    monkeypatch.setenv("DATABASE_URL_FILE", str(local / "url"))
    assert environment.plan(local).postgres is None


def test_the_settings_name_what_was_started(local):
    plan = environment.plan(local)
    values = environment.settings_of(plan)
    assert values["LOCAL"] == "true"
    assert "DEBUG" not in values
    assert values["DATABASE_URL"] == f"postgres://huntaze:pass-word@127.0.0.1:{plan.ports['postgres']}/huntaze"
    assert values["REDIS_ENDPOINT"] == f"127.0.0.1:{plan.ports['valkey']}"
    endpoint = f"http://127.0.0.1:{plan.ports['sqs']}"
    assert values["AWS_ENDPOINT_URL"] == endpoint
    assert values["SQS_RATE_LIMITER_QUEUE_URL"] == f"{endpoint}/000000000000/huntaze-rate-limiter-queue"
    assert values["SQS_RATE_LIMITER_DLQ_URL"] == f"{endpoint}/000000000000/huntaze-rate-limiter-queue-dlq"
    assert environment.settings_of(plan)["SECRET_KEY"] == values["SECRET_KEY"]


def test_what_a_person_has_set_is_left_alone(local, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "mine")
    monkeypatch.setenv("LOCAL", "false")
    values = environment.settings_of(environment.plan(local))
    assert not {"SECRET_KEY", "LOCAL"} & values.keys()


def test_the_file_is_for_us_alone_and_reads_back(local, monkeypatch):
    values = environment.settings_of(environment.plan(local))
    path = local / "stack.env"
    path.write_text("OLD=1")
    path.chmod(0o644)
    environment.file_write(path, values)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found: dict[str, str] = {}
    monkeypatch.setattr(environ.Env, "ENVIRON", found)
    environ.Env.read_env(path)
    assert found == values


def test_real_aws_keys_do_not_reach_the_local_queue(local, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    monkeypatch.setenv("AWS_PROFILE", "real")
    child = environment.child_environment(environment.settings_of(environment.plan(local)), local_aws=True)
    assert child["AWS_ACCESS_KEY_ID"] == "local"
    assert "AWS_PROFILE" not in child
    assert child["HUNTAZE_ENV_FILES"] == "false"


def test_the_table_says_where_everything_is(local, monkeypatch):
    monkeypatch.setenv("PORT", "8123")
    plan = environment.plan(local)
    text = summary.text(plan, seconds=4)
    for part in (plan.web, "/api/docs", "/admin/", plan.simulator_url, plan.sqs.endpoint, plan.valkey.endpoint):
        assert part in text
    assert "creator@demo.huntaze.local" in text
    assert "agency@demo.huntaze.local" in text
    assert "pass-word" not in text


def test_the_table_shows_a_replaced_port_and_no_password(local, monkeypatch):
    for name, value in CONFIGURED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(environment, "ports_choose", lambda wanted, **_: dict.fromkeys(wanted, 41_234))
    text = summary.text(environment.plan(local), seconds=4)
    assert "http://127.0.0.1:41234/   (port 8000 is taken)" in text
    assert "postgres://db.example.com/crm   (from DATABASE_URL)" in text
    assert "hidden" not in text
