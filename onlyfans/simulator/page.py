"""Answers what a person sees of the simulator: its accounts and the last messages it took. Reads the store."""

import base64
import hashlib
from datetime import UTC, datetime
from html import escape

from onlyfans.simulator import shapes
from onlyfans.simulator.store import Account, Limits, Message, Store, now_ms

SHOWN = 50

STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: color-mix(in srgb, currentColor 65%, transparent); }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p, dl, dd, ol { margin: 0; padding: 0; }
.quiet { color: var(--quiet); }
.accounts { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .75rem; }
.accounts > section { border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; }
.accounts h3 { font-size: 1rem; margin: 0; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 0 .75rem; }
dt { color: var(--quiet); }
code { font-size: .9em; overflow-wrap: anywhere; }
ol { list-style: none; }
li { border-top: 1px solid var(--line); padding: .6rem 0; }
.head { display: flex; flex-wrap: wrap; gap: 0 .75rem; color: var(--quiet); font-size: .875rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.mark { border: 1px solid currentColor; border-radius: 1rem; padding: 0 .5rem; }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def page(store: Store, limits: Limits) -> str:
    """The whole page; it loads itself again every five seconds."""
    messages = store.messages(limit=SHOWN)
    names = {account.id: account.name for account in store.accounts()}
    accounts = "".join(_account(store, limits, account) for account in store.accounts())
    items = "".join(_message(store, names, message) for message in messages)
    log = f"<ol>{items}</ol>" if items else "<p>None yet. A message that Huntaze sends appears here.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="5">'
        f"<title>OnlyFans simulator</title><style>{STYLE}</style></head><body>"
        "<header><h1>OnlyFans simulator</h1>"
        '<p class="quiet">Stands in for the platform on this machine. Nothing here reaches OnlyFans.</p></header>'
        f'<main><h2>Accounts</h2><div class="accounts">{accounts}</div>'
        f"<h2>Last {SHOWN} messages received</h2>{log}</main></body></html>"
    )


def _account(store: Store, limits: Limits, account: Account) -> str:
    now = now_ms()
    recent = store.count(account=account.id, since=now - int(limits.window_seconds * 1000))
    rows = {
        "Account": f"<code>{escape(account.id)}</code>",
        "Key": f"<code>{escape(account.api_key)}</code>",
        "Fans": f"{store.fans_count():,}",
        "Messages": f"{store.count(account=account.id):,}",
        f"Last {limits.window_seconds:g} s": f"{recent} of {limits.messages}",
    }
    terms = "".join(f"<dt>{term}</dt><dd>{value}</dd>" for term, value in rows.items())
    return f"<section><h3>{escape(account.name)}</h3><dl>{terms}</dl></section>"


def _message(store: Store, names: dict[str, str], message: Message) -> str:
    fan = store.fan(message.fan)
    at = datetime.fromtimestamp(message.received_at / 1000, UTC)
    price = f"${message.price_cents / 100:,.2f}" if message.price_cents else "free"
    media = f"<span>{len(message.media)} media</span>" if message.media else ""
    replays = f'<span class="mark">replayed {message.replays}×</span>' if message.replays else ""
    return (
        f'<li><div class="head"><time datetime="{at.isoformat(timespec="milliseconds")}">{at:%d %b %H:%M:%S} UTC</time>'
        f"<span>{escape(names.get(message.account, message.account))}</span>"
        f"<span>to {escape(fan.name or fan.username) if fan else message.fan} ({message.fan})</span>"
        f'<span>{price}</span>{media}{replays}</div><div class="text">{escape(shapes.plain(message.html))}</div></li>'
    )
