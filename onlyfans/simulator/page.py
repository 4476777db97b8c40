"""Answers what a person sees of the simulator: the frame, its forms, its looks and the script that keeps it fresh.
Reads the simulator; what lives on it is in page_parts.py."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from onlyfans.simulator.page_parts import accounts, chats, fans, transactions, webhooks
from onlyfans.simulator.state import Simulator

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
SCRIPT = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_hash(STYLE)}'; script-src 'sha256-{_hash(SCRIPT)}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # Or the forms' origin would be hidden from the check of who sent them.
    "Referrer-Policy": "same-origin",
}
NOBODY: Mapping[str, str] = {}


def page(simulator: Simulator, *, faults: Sequence[str], wrong: str = "", filled: Mapping[str, str] = NOBODY) -> str:
    """The whole page; `wrong` is what a form could not do, `filled` what it held. It looks again every two seconds."""
    notice = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>OnlyFans simulator</title><style>{STYLE}</style></head><body>"
        "<header><h1>OnlyFans simulator</h1>"
        '<p class="quiet">Stands in for the platform on this machine. Nothing here reaches OnlyFans.</p>'
        '<p class="bad" id="lost" role="status" hidden>The simulator does not answer. Trying again.</p></header>'
        f'<main>{notice}<div class="grid forms">{_act_form(simulator, filled)}{_knobs_form(simulator)}'
        f'{_faults_form(faults)}</div><div id="state">{state_part(simulator)}</div></main>'
        f'<script type="module">{SCRIPT}</script></body></html>'
    )


def state_part(simulator: Simulator) -> str:
    """What changes by itself."""
    return (
        f'<div class="grid">{accounts(simulator)}</div>'
        f'<div class="grid wide">{chats(simulator)}{transactions(simulator)}'
        f"{webhooks(simulator)}{fans(simulator)}</div>"
    )


def _act_form(simulator: Simulator, filled: Mapping[str, str]) -> str:
    options = "".join(
        f'<option value="{escape(account.id)}"{" selected" if account.id == filled.get("account") else ""}>'
        f"{escape(account.name)}</option>"
        for account in simulator.store.accounts()
    )
    names = "".join(
        f'<option value="{escape(fan.username)}">{escape(fan.name)}</option>' for fan in simulator.store.fans()
    )
    return (
        '<section><h2>Be a fan</h2><form method="post" action="/act" id="act" autocomplete="off">'
        f'<div class="row"><label>Account<select name="account">{options}</select></label>'
        '<label>Fan<input name="fan" list="fans" required placeholder="username" '
        f'value="{_was(filled, "fan")}"></label>'
        f'<datalist id="fans">{names}</datalist></div>'
        '<div class="row"><label>Message<input name="text" maxlength="1000" placeholder="hey, how are you?" '
        f'value="{_was(filled, "text")}"></label><button class="main" name="does" value="write">Write</button></div>'
        f'<div class="row"><label>Tip, in dollars<input name="tip" inputmode="decimal" '
        f'value="{_was(filled, "tip") or "10"}"></label><button name="does" value="tip">Tip</button>'
        '<button name="does" value="renew">Renew</button><button name="does" value="subscribe">Subscribe</button>'
        '<button name="does" value="leave">Leave</button></div></form></section>'
    )


def _was(filled: Mapping[str, str], name: str) -> str:
    return escape(filled.get(name, ""))


def _knobs_form(simulator: Simulator) -> str:
    limits = simulator.limits
    knobs = (
        ("life", "Speed of life (0: asleep)", simulator.life),
        ("latency_ms", "Latency, ms", simulator.latency_ms),
        ("messages", "Messages in a window", limits.messages),
        ("window_seconds", "Window, s", limits.window_seconds),
        ("min_gap_seconds", "Gap between two, s", limits.min_gap_seconds),
    )
    inputs = "".join(
        f'<label>{words}<input name="{name}" inputmode="decimal" value="{value:.10g}"></label>'
        for name, words, value in knobs
    )
    return (
        '<section><h2>Knobs</h2><form method="post" action="/knobs" autocomplete="off">'
        f'<div class="row">{inputs}<button>Set</button></div></form></section>'
    )


def _faults_form(faults: Sequence[str]) -> str:
    options = "".join(f'<option value="{escape(name)}">{escape(name)}</option>' for name in faults)
    return (
        '<section><h2>Trouble for the next messages</h2><form method="post" action="/knobs">'
        f'<div class="row"><label>What goes wrong<select name="fault">{options}</select></label>'
        '<label>How often<input name="times" inputmode="numeric" value="1"></label><button>Add</button></div></form>'
        '<br><form method="post" action="/knobs"><div class="row"><button name="clear" value="1">'
        "No more trouble</button></div></form></section>"
    )
