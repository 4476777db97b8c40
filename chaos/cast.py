"""Answers who takes part: for each account of the plan a creator with its pace and fans. Writes the tables."""

import os
import sys
from pathlib import Path

import django


def main(data: Path) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "huntaze.settings")
    django.setup()
    from chaos.plan import ACCOUNTS, FANS, LIMIT
    from crm.models import Creator, Fan
    from messaging.models import SendingProfile
    from onlyfans.services import account_connect
    from onlyfans.simulator.store import Store

    fans = Store(data).fans(limit=FANS)
    for account in ACCOUNTS:
        creator = Creator.objects.create(name=account.name)
        account_connect(creator=creator, account_id=account.id, api_key=account.api_key)
        SendingProfile.objects.create(
            creator=creator, limit_messages=LIMIT.messages, window_ms=LIMIT.window_ms, min_gap_ms=LIMIT.gap_ms
        )
        Fan.objects.bulk_create(Fan(creator=creator, platform_id=str(fan.id), handle=fan.username) for fan in fans)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
