"""Answers the commands of the local stack: up, reset, exec. Touches what they touch."""

import argparse
import sys

from huntaze.local import folder, stack, throwaway
from huntaze.local.console import say
from huntaze.local.postgres import PostgresFailed
from huntaze.local.supervisor import PartDown

# `exec` is for checks: production's own variables are given by the command where they matter.
EXEC_SETTINGS = {
    "LOCAL": "true",
    "SECRET_KEY": "only-for-this-one-command",
    "AWS_REGION": "eu-west-3",
    "SQS_RATE_LIMITER_QUEUE_URL": "https://sqs.eu-west-3.amazonaws.com/123456789012/huntaze-rate-limiter-queue",
    "SQS_RATE_LIMITER_DLQ_URL": "https://sqs.eu-west-3.amazonaws.com/123456789012/huntaze-rate-limiter-queue-dlq",
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m huntaze.local")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything and print where it is")
    reset = commands.add_parser("reset", help="delete the local data")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    run = commands.add_parser("exec", help="run a command beside a throwaway PostgreSQL and Valkey")
    run.add_argument("words", nargs="+", metavar="COMMAND")
    asked = parser.parse_args(arguments)
    try:
        if asked.command == "up":
            return stack.up(folder.local_dir())
        if asked.command == "reset":
            return _reset(sure=asked.yes)
        return throwaway.run(asked.words, EXEC_SETTINGS)
    except (folder.StackRefused, PostgresFailed) as refused:
        say(str(refused))
    except PartDown as down:
        say("\n".join([f"{down} Its last lines:", *down.lines]))
    except KeyboardInterrupt:
        say("Stopped.")
    return 1


def _reset(*, sure: bool) -> int:
    local = folder.local_dir()
    with folder.lock(local):
        if not sure:
            say(f"This deletes the local database, queue and simulator in {local}.")
            if not _agreed("Delete them? [y/N] "):
                say("Nothing was deleted.")
                return 1
        folder.clear(local)
    say("The local data are deleted; `make run` makes new ones.")
    return 0


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in {"y", "yes"}
    except EOFError:
        # Nobody is there to ask.
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
