"""Answers which accounts' events come here, and has the vendor send them. Touches the vendor and the accounts."""

import json
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser

from crm.errors import NotFound
from onlyfans.selectors import account_list
from onlyfans.vendor_answers import VendorError
from onlyfans.webhook_setup import webhook_connect, webhook_url


class Command(BaseCommand):
    help = "Have the vendor send the events of connected accounts here, signed; safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", required=True, help="where this installation is reached: https://crm.example.com")
        parser.add_argument("--creator", type=int, action="append", metavar="ID", help="only this creator; repeatable")
        parser.add_argument("--rotate", action="store_true", help="with a new secret; the old one counts meanwhile")
        parser.add_argument("--dry-run", action="store_true", help="look only")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        parts = urlsplit(options["url"])
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CommandError(f"{options['url']} is no http or https address.")
        done, troubles = [], []
        try:
            accounts = account_list(creator_ids=options["creator"])
        except NotFound as error:
            raise CommandError(error.detail) from error
        for account in accounts:
            try:
                state = webhook_connect(
                    account, base_url=options["url"], rotate=options["rotate"], dry_run=options["dry_run"]
                )
            except VendorError as error:
                troubles.append(f"{account.account_id}: {error.reason}")
                continue
            url = webhook_url(account, base_url=options["url"])
            done.append({"creator": account.creator_id, "account": account.account_id, "url": url, "state": state})
        if options["json"]:
            self.stdout.write(json.dumps({"accounts": done, "errors": troubles}, indent=2))
        else:
            for each in done:
                self.stdout.write(f"{each['account']}  {each['state']}  {each['url']}")
        if troubles:
            raise CommandError("\n".join(troubles))
