"""Answers an operator at the dead-letter queue: what is in it, send it again, drop it. Touches dead_letters alone."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from crm.errors import HuntazeError
from messaging import dead_letters
from messaging.dead_letters import DeadLetter, Fate, Report
from messaging.errors import QueueError
from messaging.management.progress import Progress

ACTIONS = {
    "list": "every copy with the state of its message; nothing is consumed",
    "show": "all that is known of the copies that are named",
    "redrive": "send failed messages again, and delete copies of messages that need it no more",
    "discard": "delete copies; their messages stay as they are",
}


class Command(BaseCommand):
    help = "Look into the dead-letter queue and clear it. No text of a message is printed."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="action")
        for name, what in ACTIONS.items():
            action = actions.add_parser(name, help=what, description=f"{name}: {what}.")
            action.add_argument("--json", action="store_true", help="print one JSON object instead of text")
            if name == "list":
                continue
            action.add_argument("ids", nargs="*", help="ids of messages, or of copies as `list` prints them")
            if name == "show":
                continue
            action.add_argument("--all", action="store_true", help="every copy")
            action.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")
            if name == "discard":
                action.add_argument("--yes", action="store_true", help="with --all: do not ask first")
            if name == "redrive":
                action.add_argument(
                    "--unknown", action="store_true", help="with --all: also what may have reached the fan; look first"
                )

    def handle(self, *args: Any, **options: Any) -> None:
        action: str = options["action"]
        ids = set(options.get("ids", ()))
        dry_run: bool = options.get("dry_run", False)
        if action == "show" and not ids:
            raise CommandError("Name the ids to show.")
        if action in ("redrive", "discard") and bool(ids) == options["all"]:
            raise CommandError("Name ids, or give --all.")
        if action == "discard" and options["all"] and not (dry_run or options["yes"]):
            self._confirm()
        progress = Progress(self.stderr, "copies")
        try:
            report = self._run(action, ids, options, progress)
        except HuntazeError as error:
            raise CommandError(error.detail) from error
        except QueueError as error:
            raise CommandError(f"{error.reason} ({error.code})") from error
        finally:
            progress.close()
        if options["json"]:
            self.stdout.write(json.dumps(_json(report, dry_run=dry_run), ensure_ascii=False, indent=2))
        else:
            self._text(action, report, dry_run=dry_run)
        missing = {one for one in ids if not any(handled.letter.named_by({one}) for handled in report.handled)}
        if missing:
            raise CommandError(f"Not found in the dead-letter queue: {', '.join(sorted(missing))}.")

    def _confirm(self) -> None:
        # Not on stdout, which a program may read.
        self.stderr.write("Every copy is deleted for good; the messages' rows stay. Type yes to go on: ", str, "")
        self.stderr.flush()
        try:
            answer = input()
        except EOFError:
            answer = ""
        if answer.strip().lower() != "yes":
            raise CommandError("Nothing was deleted. Where nobody can answer, give --yes.")

    def _run(self, action: str, ids: set[str], options: dict[str, Any], progress: Progress) -> Report:
        if action == "redrive":
            return dead_letters.dead_letter_redrive(
                ids=ids or None,
                # Who names a message has looked at it.
                unknown=bool(ids) or options["unknown"],
                dry_run=options["dry_run"],
                progress=progress,
            )
        if action == "discard":
            return dead_letters.dead_letter_discard(ids=ids or None, dry_run=options["dry_run"], progress=progress)
        return dead_letters.dead_letter_list(ids=ids or None, progress=progress)

    def _text(self, action: str, report: Report, *, dry_run: bool) -> None:
        for handled in report.handled:
            letter = handled.letter
            if action == "show":
                self._show(letter)
                continue
            name = letter.message_id or letter.copy_id
            whose = f"creator {letter.creator_id} fan {letter.fan_id}" if letter.creator_id else "no row"
            what = letter.reason if action == "list" else f"{handled.fate.replace('_', ' ')}. {handled.why}".rstrip()
            self.stdout.write(f"{name}  {whose}  {letter.state}  {what}")
        if action in ("redrive", "discard"):
            would = "would be " if dry_run else ""
            self.stdout.write(
                self.style.SUCCESS(
                    f"{report.count(Fate.SENT_AGAIN)} {would}sent again, {report.count(Fate.DELETED)} {would}deleted, "
                    f"{report.count(Fate.KEPT)} kept."
                )
            )
        else:
            self.stdout.write(f"{len(report.handled)} copies.")
        if report.hidden:
            self.stdout.write(f"{report.hidden} more are being looked at by somebody else; try again in a minute.")

    def _show(self, letter: DeadLetter) -> None:
        for name, value in _letter(letter).items():
            self.stdout.write(f"{name:<14} {'' if value is None else value}")
        self.stdout.write("")


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "messageId": str(letter.message_id) if letter.message_id else None,
        "copyId": letter.copy_id,
        "creatorId": letter.creator_id,
        "fanId": letter.fan_id,
        "state": letter.state,
        "reasonCode": letter.reason_code,
        "reason": letter.reason,
        "current": letter.current,
        "receiveCount": letter.receive_count,
        "sentAt": letter.sent_at.isoformat() if letter.sent_at else None,
        "attempts": letter.attempts,
        "dueAt": letter.due_at.isoformat() if letter.due_at else None,
        "traceId": letter.trace_id,
    }


def _json(report: Report, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dryRun": dry_run,
        "hidden": report.hidden,
        "sentAgain": report.count(Fate.SENT_AGAIN),
        "deleted": report.count(Fate.DELETED),
        "kept": report.count(Fate.KEPT),
        "copies": [
            {**_letter(handled.letter), "fate": handled.fate.value, "why": handled.why} for handled in report.handled
        ],
    }
