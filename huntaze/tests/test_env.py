"""Answers whether the environment is read as .env.example promises."""

import os
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from huntaze import env


@pytest.fixture
def setenv(monkeypatch: pytest.MonkeyPatch) -> Any:
    return monkeypatch.setenv


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("1", True), ("ON", True), ("no", False), ("0", False)]
)
def test_a_boolean_is_read_in_its_usual_spellings(setenv: Any, value: str, expected: bool) -> None:
    setenv("SWITCH", value)
    assert env.boolean("SWITCH", default=not expected) is expected


def test_an_odd_boolean_is_refused_with_the_name_of_the_variable(setenv: Any) -> None:
    setenv("SWITCH", "maybe")
    with pytest.raises(ImproperlyConfigured, match="SWITCH must be true or false"):
        env.boolean("SWITCH", default=True)


def test_an_empty_variable_counts_as_not_set(setenv: Any) -> None:
    setenv("SWITCH", "  ")
    assert env.boolean("SWITCH", default=True) is True


@pytest.mark.parametrize(
    ("value", "words"), [("ten", "whole number"), ("0", "between 1 and 9"), ("10", "between 1 and 9")]
)
def test_an_odd_number_is_refused_with_the_name_and_the_bounds(setenv: Any, value: str, words: str) -> None:
    setenv("COUNT", value)
    with pytest.raises(ImproperlyConfigured, match=f"COUNT must be .*{words}"):
        env.integer("COUNT", default=5, minimum=1, maximum=9)


@pytest.mark.parametrize("value", ["soon", "-1", "nan"])
def test_an_odd_duration_is_refused(setenv: Any, value: str) -> None:
    setenv("PAUSE", value)
    with pytest.raises(ImproperlyConfigured, match="PAUSE must be"):
        env.seconds("PAUSE", default=5, minimum=0, maximum=9)


def test_a_secret_is_read_from_the_file_that_is_named(setenv: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from the file\n")
    setenv("TOKEN_FILE", str(tmp_path / "token"))
    assert env.text("TOKEN") == "from the file"


def test_the_variable_itself_goes_before_its_file(setenv: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from the file")
    setenv("TOKEN", "from the variable")
    setenv("TOKEN_FILE", str(tmp_path / "token"))
    assert env.text("TOKEN") == "from the variable"


def test_a_secret_file_that_cannot_be_read_is_named(setenv: Any, tmp_path: Path) -> None:
    setenv("TOKEN_FILE", str(tmp_path / "missing"))
    with pytest.raises(ImproperlyConfigured, match=r"TOKEN_FILE names .*missing"):
        env.text("TOKEN")


def test_a_missing_database_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(ImproperlyConfigured, match=r"DATABASE_URL is not set.*make run"):
        env.database("DATABASE_URL")


@pytest.mark.parametrize("value", ["mysql://a@b/c", "sqlite:///db.sqlite3"])
def test_another_database_than_postgresql_is_refused(setenv: Any, value: str) -> None:
    setenv("DATABASE_URL", value)
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL must be a postgres"):
        env.database("DATABASE_URL")


@pytest.mark.parametrize(
    ("endpoint", "token", "tls", "expected"),
    [
        ("cache.example:6379", "", "", "redis://cache.example:6379"),
        ("cache.example:6379", "s/cret", "true", "rediss://:s%2Fcret@cache.example:6379"),
        ("rediss://cache.example:6379/2", "secret", "", "rediss://:secret@cache.example:6379/2"),
        ("redis://:own@cache.example:6379", "secret", "", "redis://:own@cache.example:6379"),
        ("", "secret", "true", ""),
    ],
)
def test_redis_is_named_by_address_or_url(setenv: Any, endpoint: str, token: str, tls: str, expected: str) -> None:
    setenv("REDIS_ENDPOINT", endpoint)
    setenv("REDIS_AUTH_TOKEN", token)
    setenv("REDIS_TLS", tls)
    assert env.redis_url("REDIS_ENDPOINT", auth="REDIS_AUTH_TOKEN", tls="REDIS_TLS") == expected


def test_redis_by_another_scheme_is_refused(setenv: Any) -> None:
    setenv("REDIS_ENDPOINT", "http://cache.example")
    with pytest.raises(ImproperlyConfigured, match="REDIS_ENDPOINT must be"):
        env.redis_url("REDIS_ENDPOINT", auth="REDIS_AUTH_TOKEN", tls="REDIS_TLS")


def test_the_process_goes_before_env_before_the_local_stack(
    monkeypatch: pytest.MonkeyPatch, setenv: Any, tmp_path: Path
) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".env").write_text("ONE=env\nTWO=env\n")
    (tmp_path / ".local" / "stack.env").write_text("ONE=stack\nTWO=stack\nTHREE=stack\n")
    for name in ("TWO", "THREE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    setenv("HUNTAZE_ENV_FILES", "true")
    setenv("ONE", "process")
    env.env_files_load(tmp_path)
    assert [env.text(name) for name in ("ONE", "TWO", "THREE")] == ["process", "env", "stack"]


def test_a_blank_line_of_a_file_sets_nothing(monkeypatch: pytest.MonkeyPatch, setenv: Any, tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".env").write_text("FROM_STACK=\nNOWHERE=\n")
    (tmp_path / ".local" / "stack.env").write_text("FROM_STACK=stack\n")
    for name in ("FROM_STACK", "NOWHERE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    setenv("HUNTAZE_ENV_FILES", "true")
    env.env_files_load(tmp_path)
    assert os.environ["FROM_STACK"] == "stack"
    assert "NOWHERE" not in os.environ


def test_the_files_are_left_alone_where_they_are_switched_off(setenv: Any, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("NEVER_READ=env\n")
    setenv("HUNTAZE_ENV_FILES", "false")
    env.env_files_load(tmp_path)
    assert env.text("NEVER_READ") == ""


@pytest.mark.parametrize(
    "value",
    [
        "http://cache.example:6379",
        "cache.example",
        "cache.example:",
        "cache.example:port",
        "cache.example:0",
        ":6379",
        "redis://",
        "redis://cache.example:99999",
        "redis://cache.example:6379/first",
        "cache.example 6379",
    ],
)
def test_a_redis_that_cannot_be_one_is_refused_without_its_password(setenv: Any, value: str) -> None:
    setenv("REDIS_ENDPOINT", value)
    setenv("REDIS_AUTH_TOKEN", "hunter2")
    with pytest.raises(ImproperlyConfigured, match="REDIS_ENDPOINT must be host:port") as refused:
        env.redis_url("REDIS_ENDPOINT", auth="REDIS_AUTH_TOKEN", tls="REDIS_TLS")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("value", ["cache.example:6379", "[::1]:6379", "redis://cache.example", "rediss://c:1/15"])
def test_a_redis_that_can_be_one_is_taken(setenv: Any, value: str) -> None:
    setenv("REDIS_ENDPOINT", value)
    assert value.split("://")[-1] in env.redis_url("REDIS_ENDPOINT", auth="REDIS_AUTH_TOKEN", tls="REDIS_TLS")


QUEUE = "https://sqs.eu-west-3.amazonaws.com/123456789012/huntaze-rate-limiter-queue"


@pytest.mark.parametrize(
    "value",
    [
        "huntaze-rate-limiter-queue",
        "arn:aws:sqs:eu-west-3:123456789012:huntaze-rate-limiter-queue",
        "https://sqs.eu-west-3.amazonaws.com",
        "https://sqs.eu-west-3.amazonaws.com/huntaze-rate-limiter-queue",
        "sqs://sqs.eu-west-3.amazonaws.com/123456789012/queue",
        f"{QUEUE} {QUEUE}",
        f"{QUEUE}/",
    ],
)
def test_a_queue_url_that_is_none_is_refused_with_an_example(setenv: Any, value: str) -> None:
    setenv("QUEUE_URL", value)
    with pytest.raises(ImproperlyConfigured, match="QUEUE_URL must be the queue's URL such as https://sqs"):
        env.queue_url("QUEUE_URL")


@pytest.mark.parametrize(
    "value", ["", QUEUE, f"{QUEUE}.fifo", "http://127.0.0.1:4566/000000000000/queue", "http://sqs:9324/queue/local/1/q"]
)
def test_a_queue_url_is_taken(setenv: Any, value: str) -> None:
    setenv("QUEUE_URL", value)
    assert env.queue_url("QUEUE_URL") == value


@pytest.mark.parametrize("value", ["eu_west_3", "Europe (Paris)", "eu-west-3,us-east-1", "EU-WEST-3", "-"])
def test_a_region_that_is_none_is_refused(setenv: Any, value: str) -> None:
    setenv("REGION", value)
    with pytest.raises(ImproperlyConfigured, match="REGION must be the name of an AWS region such as eu-west-3"):
        env.region("REGION")


@pytest.mark.parametrize("value", ["eu-west-3", "us-gov-east-1", "eu-isoe-west-1", "elasticmq"])
def test_a_region_is_taken(setenv: Any, value: str) -> None:
    setenv("REGION", value)
    assert env.region("REGION") == value


@pytest.mark.parametrize("value", ["app.onlyfansapi.com", "https://", "ftp://api.example.com", "http://a b"])
def test_an_address_that_is_none_is_refused(setenv: Any, value: str) -> None:
    setenv("ADDRESS", value)
    with pytest.raises(ImproperlyConfigured, match="ADDRESS must be a URL such as"):
        env.address("ADDRESS")
