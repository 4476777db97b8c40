"""Answers where everything of the running stack is, as one table. Touches nothing."""

from urllib.parse import urlsplit

from huntaze import demo_content, env
from huntaze.local.console import table
from huntaze.local.environment import Plan


def text(plan: Plan, *, seconds: float) -> str:
    rows = [
        ("Pages", plan.web + "/" + plan.port_note("web")),
        ("API docs", f"{plan.web}/api/docs"),
        ("Admin", f"{plan.web}/admin/"),
        ("Simulator", _simulator(plan) if plan.simulator else _vendor()),
        (
            "PostgreSQL",
            f"{_place(plan.postgres.url)}{plan.port_note('postgres')}   (password in stack.env)"
            if plan.postgres
            else _configured("DATABASE_URL"),
        ),
        (
            "Redis",
            f"redis://{plan.valkey.endpoint}/0{plan.port_note('valkey')}"
            if plan.valkey
            else _configured("REDIS_ENDPOINT"),
        ),
        (
            "SQS",
            f"{plan.sqs.endpoint}{plan.port_note('sqs')}" if plan.sqs else _configured("SQS_RATE_LIMITER_QUEUE_URL"),
        ),
        ("Data", str(plan.local)),
        *([("", str(plan.postgres.home))] if plan.postgres and plan.local not in plan.postgres.home.parents else []),
    ]
    if plan.postgres:
        people = [f"{email:<26} {demo_content.PASSWORD}   ({who})" for email, _, who in demo_content.PEOPLE]
        rows += list(zip(["Sign in", *([""] * len(people))], people, strict=False))
    else:
        rows.append(("Sign in", "no demo data in a database of your own; see manage.py createsuperuser"))
    rows.append(("Stop", "Ctrl-C"))
    return table(f"Huntaze runs here (after {seconds:.1f} s)", rows)


def _configured(name: str) -> str:
    return f"{_place(env.text(name))}   (from {name})"


def _simulator(plan: Plan) -> str:
    return f"{plan.simulator_url}/{plan.port_note('simulator')}   (stands in for OnlyFans: write as a fan there)"


def _vendor() -> str:
    return f"none: {env.text('ONLYFANS_API_BASE_URL')}   (from ONLYFANS_API_BASE_URL)"


def _place(url: str) -> str:
    """The address without user and password."""
    if "://" not in url:
        return url.rsplit("@", 1)[-1]
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1]).geturl()
