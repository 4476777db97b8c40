"""Answers a plan by asking the services for what it says, when it says so. Touches the services and its journal.

Killed and started again it goes on after the last step that it began: who was not answered does not know, and does
not ask twice.
"""

import argparse
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import django

from chaos.beginning import Beginning
from chaos.journal import FINISHED, Journal
from chaos.plan import ACCOUNTS, FANS, Plan, Step, Way, plan_make

if TYPE_CHECKING:
    from crm.models import Creator


def main() -> None:
    parser = argparse.ArgumentParser(prog="chaos.producer")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--beginning", type=Path, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "huntaze.settings")
    django.setup()
    plan = plan_make(seed=asked.seed, minutes=asked.minutes)
    sys.stdout.write("producer started\n")
    sys.stdout.flush()
    produce(plan, asked.number, begin=Beginning(asked.beginning).wait(), journal=Journal(asked.journal))
    # Its end would be taken for one more death.
    threading.Event().wait()


def produce(plan: Plan, number: int, *, begin: float, journal: Journal) -> None:
    from django.db import close_old_connections

    begun, finished = journal.read()
    if finished:
        return
    for step in plan.steps[number][max(begun, default=-1) + 1 :]:
        time.sleep(max(0.0, begin + step.at - time.time()))
        if time.time() > begin + plan.seconds:
            # On a machine too slow for the plan the rest is never asked for.
            break
        close_old_connections()
        journal.write({"step": step.number, "asked_at": time.time()})
        error, refused = "", list[int]()
        try:
            refused = ask(step)
        except Exception as raised:
            # Whatever it is, the caller has no answer: a database that is away, a pool without a connection.
            error = type(raised).__name__
        journal.write({"step": step.number, "answered_at": time.time(), "error": error, "refused": refused})
    journal.write({FINISHED: True})


def ask(step: Step) -> list[int]:
    """One call; answers the places in the step of the messages that were answered `failed`."""
    from crm.models import MessageStatus
    from messaging import campaigns
    from messaging.errors import QueueRefused
    from messaging.services import MessageRequest, OnlyFansRateLimiterService, message_send
    from onlyfans.models import Account

    creator = Account.objects.select_related("creator").get(account_id=ACCOUNTS[step.creator].id).creator
    fans = _fans(creator)
    recipients = [fans[place] for place in step.fans]
    requests = [MessageRequest(recipient_id=r, content=t) for r, t in zip(recipients, step.texts, strict=True)]
    try:
        match step.way:
            case Way.SINGLE:
                message_send(creator=creator, user=None, request=requests[0])
                return []
            case Way.BATCH:
                receipts = OnlyFansRateLimiterService(creator=creator).send_batch(user=None, requests=requests)
                return [place for place, each in enumerate(receipts) if each.status is MessageStatus.FAILED]
            case Way.BULK:
                bulk = campaigns.BulkRequest(recipient_ids=recipients, content=step.texts[0])
                receipt = campaigns.bulk_send(creator=creator, user=None, request=bulk)
            case Way.CAMPAIGN:
                campaign = campaigns.CampaignRequest(
                    name=step.texts[0], content=step.texts[0], audience=campaigns.Audience(everybody=True)
                )
                receipt = campaigns.campaign_create(creator=creator, user=None, request=campaign)
    except QueueRefused:
        # All that it asked for is stored as failed.
        return list(range(len(step.fans)))
    return [recipients.index(failed.recipient_id) for failed in receipt.failed]


def _fans(creator: "Creator") -> list[str]:
    """The creator's fans at the places that the plan names them by."""
    from crm.models import Fan

    return list(Fan.objects.filter(creator=creator).order_by("pk").values_list("platform_id", flat=True)[:FANS])


if __name__ == "__main__":
    main()
