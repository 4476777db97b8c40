"""Answers the pages of reference that follow from the code: settings, commands, checks. Writes docs/reference/.

`make docs` runs it; a test holds the pages to what it would write.
"""  # noqa: INP001

import os
import re
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "docs" / "reference"
OURS = ("analytics", "crm", "huntaze", "messaging", "onlyfans")


def settings_page() -> str:
    """From .env.example: the comments above a variable, or above several, are about all of them."""
    lines = [
        "# Settings",
        "",
        "Every variable can be given as `NAME_FILE` instead, the path of a file with its value.",
        "",
    ]
    words: list[str] = []
    names: list[str] = []
    sections = (ROOT / ".env.example").read_text(encoding="utf-8").split("\n\n", 1)[1]
    for line in [*sections.splitlines(), ""]:
        if names and not re.match(r"[A-Z_]+=", line):
            lines += ["### " + ", ".join(f"`{name}`" for name in names), "", " ".join(words), ""]
            words, names = [], []
        if title := re.fullmatch(r"# --- (.+) ---", line):
            lines += [f"## {title[1]}", ""]
        elif line.startswith("#"):
            words.append(line.removeprefix("#").strip())
        elif line:
            names.append(line.split("=")[0])
    return "\n".join(lines).rstrip() + "\n"


def commands_page() -> str:
    """From each command's own help."""
    from django.core.management import get_commands, load_command_class

    lines = ["# Commands", "", "`manage.py COMMAND --help` prints every option.", ""]
    for name, app in sorted(get_commands().items()):
        if app in OURS:
            command = load_command_class(app, name)
            lines += [f"## {name}", "", " ".join(str(command.help).split()), ""]
            options = [
                action.option_strings[-1]
                for action in command.create_parser("manage.py", name)._actions  # noqa: SLF001  argparse tells it nowhere else
                if action.option_strings and action.option_strings[-1] not in STANDARD
            ]
            if options:
                lines += ["Options: " + ", ".join(f"`{option}`" for option in options), ""]
    return "\n".join(lines).rstrip() + "\n"


STANDARD = {
    "--help", "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color",
    "--skip-checks",
}  # fmt: skip


def checks_page() -> str:
    """From what each check says of itself."""
    from huntaze import checks

    found: dict[str, str] = {}
    for function in vars(checks).values():
        found.update(re.findall(r"([EW]\d{3}): (.+)", getattr(function, "__doc__", None) or ""))
    lines = ["# System checks", "", "`manage.py check --deploy` runs them all.", ""]
    lines += [f"- `huntaze.{name}`: {words}" for name, words in sorted(found.items())]
    return "\n".join(lines) + "\n"


PAGES = {"settings.md": settings_page, "commands.md": commands_page, "checks.md": checks_page}


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "huntaze.settings")
    django.setup()
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
