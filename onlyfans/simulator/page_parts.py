"""Answers what lives on the simulator's page: accounts, chats, money, events, fans. Reads the simulator."""

from datetime import UTC, datetime
from html import escape
from itertools import islice
from urllib.parse import urlsplit

from onlyfans.simulator import shapes
from onlyfans.simulator.events import Delivery
from onlyfans.simulator.state import Simulator
from onlyfans.simulator.store import Account, Fan, Message, now_ms

CHATS = 8
MESSAGES_A_CHAT = 4
TRANSACTIONS = 30
EVENTS = 40
FANS = 30
KINDS = {"tips": "Tip", "subscribes": "Subscription", "chat_messages": "Message bought"}


def accounts(simulator: Simulator) -> str:
    return "".join(_account(simulator, account) for account in simulator.store.accounts())


def _account(simulator: Simulator, account: Account) -> str:
    store, limits, now = simulator.store, simulator.limits, now_ms()
    total = store.count(account=account.id)
    recent = store.count(account=account.id, since=now - int(limits.window_seconds * 1000))
    wait = store.wait_ms(account=account.id, limits=limits, now=now)
    window = min(recent, limits.messages)
    rows = {
        "Account": f"<code>{escape(account.id)}</code>",
        "Key": f"<code>{escape(account.api_key)}</code>",
        "Messages": f"{total:,}",
        "Credits": f"{shapes.CREDITS - total:,} of {shapes.CREDITS:,}",
        f"Last {limits.window_seconds:g} s": f"{recent:,} of {limits.messages:,}",
        "Next message": f"in {wait / 1000:.0f} s" if wait >= 1000 else "now",
        "Trouble waiting": _waiting(simulator, account),
        "Events go to": _addresses(simulator, account),
    }
    terms = "".join(f"<dt>{term}</dt><dd>{value}</dd>" for term, value in rows.items())
    meter = f'<meter min="0" max="{limits.messages}" value="{window}" aria-label="Messages of the window used"></meter>'
    return f'<section><h3>{escape(account.name)}</h3>{meter}<dl class="small">{terms}</dl></section>'


def _waiting(simulator: Simulator, account: Account) -> str:
    found = [fault for fault in simulator.faults.waiting() if fault.account in ("", account.id)]
    return escape(", ".join(f"{fault.kind} {fault.status} ×{fault.times}" for fault in found)) or "none"


def _addresses(simulator: Simulator, account: Account) -> str:
    """Where the CRM is, as far as the simulator was told."""
    places = {urlsplit(each.url) for each in simulator.store.webhooks(account=account.id)}
    origins = sorted({f"{place.scheme}://{place.netloc}" for place in places})
    links = [f'<a href="{escape(origin)}/" rel="noreferrer">{escape(origin)}</a>' for origin in origins]
    return ", ".join(links) or "nobody yet"


def chats(simulator: Simulator) -> str:
    names = {account.id: account for account in simulator.store.accounts()}
    lasts = [last for each in names for last in simulator.store.chats(account=each, limit=CHATS, offset=0)]
    newest = sorted(lasts, key=lambda message: message.id, reverse=True)[:CHATS]
    items = "".join(_chat(simulator, names[last.account], last) for last in newest)
    return _section(
        "Chats", f"<ol>{items}</ol>" if items else "", "None yet. A message that Huntaze sends appears here."
    )


def _chat(simulator: Simulator, account: Account, last: Message) -> str:
    fan = simulator.store.fan(last.fan)
    messages = simulator.store.chat(account=account.id, fan=last.fan, before=0, limit=MESSAGES_A_CHAT)
    bubbles = "".join(_bubble(message) for message in reversed(messages))
    return (
        f'<li class="chat"><div><strong>{_name(fan)}</strong><span class="quiet small">{escape(account.name)} · '
        f"{_moment(last.received_at)}</span></div>{bubbles}</li>"
    )


def _bubble(message: Message) -> str:
    marks = [f"${message.price_cents / 100:,.2f}"] if message.price_cents else []
    marks += [f"{len(message.media)} media"] if message.media else []
    marks += [f"replayed {message.replays}×"] if message.replays else []
    shown = "".join(f' <span class="mark">{mark}</span>' for mark in marks)
    side, who = ("", "Fan: ") if message.from_fan else (" bubble--out", "Creator: ")
    text = escape(shapes.plain(message.html))
    return f'<span class="bubble{side}"><span class="hidden">{who}</span>{text}{shown}</span>'


def transactions(simulator: Simulator) -> str:
    store = simulator.store
    paid = [
        (each, account)
        for account in store.accounts()
        for each in store.transactions(account=account.id, kind="", since=0, before=0, limit=TRANSACTIONS)
    ]
    newest = sorted(paid, key=lambda pair: pair[0].number, reverse=True)[:TRANSACTIONS]
    rows = "".join(
        f"<tr><td>{_moment(each.paid_at)}</td><td>{escape(account.name)}</td><td>{_name(store.fan(each.fan))}</td>"
        f'<td>{escape(KINDS.get(each.kind, each.kind))}</td><td class="number">${each.cents / 100:,.2f}</td></tr>'
        for each, account in newest
    )
    head = '<tr><th>When<th>Account<th>Fan<th>For<th class="number">Amount</tr>'
    return _section("Transactions", _table(head, rows), "None yet. Tip as a fan, or let them live.")


def webhooks(simulator: Simulator) -> str:
    names = {account.id: account.name for account in simulator.store.accounts()}
    rows = "".join(_event(each, names) for each in islice(simulator.courier.log, EVENTS))
    return _section("Events sent", _table("<tr><th>When<th>Event<th>Account<th>Answers</tr>", rows), "None yet.")


def _event(each: Delivery, names: dict[str, str]) -> str:
    look = {True: "good", False: "bad", None: "quiet"}[each.arrived]
    said = ", ".join(each.answers) or ("on its way" if each.arrived is None else "not wanted any more")
    took = f" in {each.took_ms} ms" if each.answers else ""
    return (
        f'<tr title="{escape(each.url)}"><td>{_moment(each.at_ms)}</td><td>{escape(each.event)}</td>'
        f'<td>{escape(names.get(each.account, each.account))}</td><td class="{look}">{escape(said)}{took}</td></tr>'
    )


def fans(simulator: Simulator) -> str:
    everybody = simulator.store.fans()
    top = sorted(everybody, key=lambda fan: fan.spent_cents, reverse=True)[:FANS]
    rows = "".join(
        f"<tr><td>{_name(fan)}</td><td>@{escape(fan.username)}</td><td><code>{fan.id}</code></td>"
        f"<td>{'left' if shapes.is_expired(fan) else 'subscribes'}</td>"
        f'<td class="number">${fan.spent_cents / 100:,.2f}</td></tr>'
        for fan in top
    )
    head = '<tr><th>Fan<th>Username<th>Id<th>State<th class="number">Spent</tr>'
    title = f"Fans: {len(everybody):,}, those who spent most"
    return _section(title, _table(head, rows), "None. Start the simulator with a file of fans.")


def _section(title: str, content: str, empty: str) -> str:
    # Reached by the keyboard, because it scrolls.
    scrolling = f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}">{content}</div>'
    return f"<section><h2>{escape(title)}</h2>{scrolling if content else f'<p>{empty}</p>'}</section>"


def _table(head: str, rows: str) -> str:
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>" if rows else ""


def _name(fan: Fan | None) -> str:
    return escape(fan.name or fan.username) if fan else "Somebody"


def _moment(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    exact = at.isoformat(timespec="milliseconds")
    day = "" if at.date() == datetime.now(UTC).date() else f"{at:%d %b} "
    return f'<time datetime="{exact}" title="{exact}">{day}{at:%H:%M:%S} UTC</time>'
