"""Answers an example of whatever a schema of the OpenAPI document describes. Touches nothing."""

from typing import Any

_STATES = ("pending", "queued", "parked", "sending", "sent", "unknown", "failed", "cancelled", "dismissed", "bypassed")
_PROGRESS: dict[str, Any] = dict.fromkeys(_STATES, 0)
# By the member's name, which means the same everywhere; what is not here is made from its type.
VALUES: dict[str, Any] = {
    # Of a campaign to one fan, whose message is on the queue.
    **_PROGRESS,
    "queued": 1,
    "accountId": "acct_demo1",
    "access": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.signature",
    "add": ["whale"],
    # The simulator's, so that the example works on `make run`.
    "apiKey": "sim_key_demo1",
    "attachments": [{"type": "media", "url": "https://cdn.example.com/media/1.jpg"}],
    "attempts": 0,
    "avatar": "https://cdn.example.com/avatars/184203817.jpg",
    "blocked": None,
    "campaign": None,
    "campaignMessages": 6,
    "campaignName": "Autumn set",
    "content": "Hi {firstName}, the new set is up.",
    "currency": "USD",
    "decision": None,
    "deletedAt": None,
    "direction": "out",
    "email": "user@example.com",
    # Of a receipt those that were refused, of a campaign's progress how many.
    "failed": ([], 0),
    "failure": None,
    "failureRate": 0.01,
    "filename": "fans.csv",
    "handle": "autumn_leaf",
    "mediaUrls": ["https://cdn.example.com/media/1.jpg"],
    "messages": 8,
    "messagesMost": 10,
    "minGapSeconds": 3.5,
    "minGapSecondsLeast": 3,
    "name": "Autumn",
    "next": "https://crm.example.com/api/crm/fans?cursor=dmFsdWVfY2VudHM9MTI1MDAmaWQ9NDI%3D",
    "otp": "123456",
    "notes": "Likes the outdoor sets.",
    "pausedReason": "",
    "password": "a-long-pass-phrase",
    "platform": "onlyfans",
    "platformId": "184203817",
    "previous": None,
    "priceCents": 1500,
    "priority": 5,
    "readBack": None,
    "reason": "",
    "reasonCode": "",
    "recipientId": "184203817",
    "recipientIds": ["184203817", "fan_42"],
    "remove": ["trial"],
    "role": "chatter",
    "sentInWindow": 0,
    "stage": "",
    # The first of these that there is.
    "status": ("queued", "running"),
    "undoneAt": None,
    "refresh": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.signature",
    # A time to come would have passed one day.
    "scheduledAt": None,
    "shortcut": "welcome",
    "tags": ["vip"],
    "text": "The new set is up.",
    "timeZone": "Europe/Paris",
    "token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.signature",
    "valueCents": 12500,
    "windowSeconds": 60,
}
# By the component's name, where members of it exclude each other.
COMPONENTS: dict[str, Any] = {"AudienceRequest": {"tags": ["vip"], "minValueCents": 5000}}
_BASIS = ("as_of,time_zone,currency", "2026-03-01T18:30:00+00:00,Europe/Paris,USD")
_MONEY = "gross,fee,net,loading_gross,loading_net,taken_back_gross,taken_back_net"
_KINDS = ("subscription", "recurring", "tip", "message", "post", "stream", "other")
# What comes as CSV, by its operation: the header and a row.
_LINES = {
    "analytics_overview": (
        f"{_BASIS[0]},fans,active_fans,lifetime_value_gross,from,to,{_MONEY},gross_change_percent,net_change_percent",
        f"{_BASIS[1]},480,271,18668.86,2026-01-31,2026-03-01,500.00,100.00,400.00,50.00,40.00,0.00,0.00,12.5,12.5",
    ),
    "analytics_top_fans": (
        f"place,platform_id,handle,name,lifetime_value_gross,{_BASIS[0]},last_seen",
        f"1,184203817,autumn_leaf,Autumn,125.00,{_BASIS[1]},2026-03-01T08:15:00+00:00",
    ),
    "analytics_revenue": (
        f"from,to,{_BASIS[0]},transactions,{_MONEY},{','.join(f'{kind}_gross,{kind}_net' for kind in _KINDS)}",
        f"2026-02-01,2026-02-28,{_BASIS[1]},2,50.00,10.00,40.00,0.00,0.00,0.00,0.00,10.00,8.00,0.00,0.00,40.00,32.00"
        + ",0.00" * 8,
    ),
    "analytics_tiers": (
        f"top_percent,fans,from_gross,lifetime_value_gross,share_percent,{_BASIS[0]}",
        f"1,5,534.56,4200.00,22.5,{_BASIS[1]}",
    ),
    "analytics_cohorts": (
        f"first_month,fans,months_later,paying_fans,percent,gross,net,{_BASIS[0]}",
        f"2026-01-01,40,1,30,75.0,450.00,360.00,{_BASIS[1]}",
    ),
    "analytics_churn": (
        f"month,subscribers,joined,kept,lapsed,churn_percent,renewals,gross,net,{_BASIS[0]}",
        f"2026-02-01,40,10,36,4,10.0,36,460.00,368.00,{_BASIS[1]}",
    ),
    "analytics_hours": (f"weekday,hour,transactions,gross,net,{_BASIS[0]}", f"1,21,12,180.00,144.00,{_BASIS[1]}"),
    "analytics_campaign_revenue": (
        f"campaign,name,created,price,sent,buyers,buyers_percent,purchases,gross,net,within_days,{_BASIS[0]}",
        f"7,Autumn set,2026-02-20T17:00:00+00:00,15.00,200,30,15.0,31,465.00,372.00,7,{_BASIS[1]}",
    ),
    "analytics_chatters": (
        f"chatter,name,messages,replies,median_seconds,sales,gross,net,{_BASIS[0]}",
        f"user@example.com,Autumn,120,90,240,12,180.00,144.00,{_BASIS[1]}",
    ),
    "campaigns_ledger": (
        "fan_id,handle,name,status,reason,attempts,due_at,queued_at,sent_at,finished_at",
        "184203817,autumn_leaf,Autumn,sent,,1" + ",2026-03-01T18:30:00+00:00" * 4,
    ),
    "imports_errors": (
        "error,as in import 1,Username,Total Spent",
        "Total Spent: This is no amount of money.,,autumn_leaf,much",
    ),
}
# What an operation's example has of its own, because it follows from what the request does.
OF_OPERATION: dict[tuple[str, str], dict[str, Any]] = {
    ("account_connect", "200"): {"synced": []},
    ("campaigns_cancel", "200"): {
        "status": "cancelled",
        "progress": _PROGRESS | {"cancelled": 1},
    },
    ("campaigns_create", "200"): {
        "examples": [
            {
                "recipientId": "184203817",
                "name": "Autumn",
                "handle": "autumn_leaf",
                "text": "Hi Autumn, the new set is up.",
            }
        ],
    },
    ("campaigns_pause", "200"): {
        "status": "paused",
        "progress": _PROGRESS | {"parked": 1},
        "estimatedCompletionTime": None,
        "blocked": {"code": "campaign_paused", "reason": "Its campaign is paused.", "since": None},
    },
    ("conversation_messages_send", "202"): {
        "sentAt": None,
        "campaignId": None,
        "campaignName": "",
        "cancellable": True,
        "settleableAs": [],
    },
    ("messages_bulk", "202"): {"totalRecipients": 2},
    ("imports_undo", "200"): {"restored": 0, "kept": 0},
    ("messages_cancel", "200"): {
        "status": "cancelled",
        "cancellable": False,
        "decision": {"outcome": "cancelled", "by": {"id": 1, "name": "Autumn"}, "at": "2026-03-01T18:30:00Z"},
        "settleableAs": [],
    },
    ("messages_status", "200"): {
        "late": 0,
        "inTrouble": 0,
        "own": {"pending": 0, "queued": 1, "parked": 0, "sending": 0, "failed": 0, "unknown": 0},
        "cloudwatch": None,
        "missing": [
            {
                "fields": ["cloudwatch"],
                "code": "not_configured",
                "reason": "CLOUDWATCH_NAMESPACE is not set: what is counted is put into no CloudWatch.",
            }
        ],
    },
    ("messages_settle", "200"): {
        "status": "sent",
        "attempts": 1,
        "cancellable": False,
        "decision": {"outcome": "arrived", "by": {"id": 1, "name": "Autumn"}, "at": "2026-03-01T18:30:00Z"},
        "settleableAs": [],
    },
    ("webhooks_receive", "request"): {
        "event": "messages.received",
        "account_id": "acct_demo1",
        "payload": {
            "id": 1000006,
            "text": "Good morning!",
            "fromUser": {"id": 184203817, "name": "Autumn", "username": "autumn_leaf"},
            "createdAt": "2026-03-01T18:30:00+00:00",
        },
    },
    ("webhooks_receive", "200"): {"stored": True},
}
FILES = {operation: "".join(f"{line}\r\n" for line in lines) for operation, lines in _LINES.items()}
FORMATS = {
    "date": "2026-03-01",
    "date-time": "2026-03-01T18:30:00Z",
    "uuid": "019ca9d2-6f00-7c41-9a55-3f1f0c1f8e21",
    "uri": "https://crm.example.com/",
    "email": "user@example.com",
}


def example_of(schema: dict[str, Any], components: dict[str, Any]) -> Any:
    """components: the document's schemas, where its references lead. What may be null is shown with a value."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return COMPONENTS[name] if name in COMPONENTS else example_of(components[name], components)
    for known in ("example", "default"):
        if known in schema:
            return schema[known]
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("allOf", "oneOf", "anyOf"):
        if several in schema:
            return example_of(schema[several][0], components)
    kind = schema.get("type", "object")
    if kind == "object":
        members = schema.get("properties", {})
        return {name: _member(name, member, components) for name, member in members.items()}
    if kind == "array":
        return [example_of(schema["items"], components)]
    if kind == "string":
        return FORMATS.get(schema.get("format", ""), "text")
    return {"boolean": False, "number": 0.5}.get(kind, max(1, schema.get("minimum", 1)))


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    if value is None:
        return bool(schema.get("nullable"))
    kinds = {str: {"string"}, int: {"integer", "number"}, float: {"number"}, list: {"array"}}
    return "anyOf" in schema or schema.get("type") in kinds.get(type(value), set())


def _member(name: str, schema: dict[str, Any], components: dict[str, Any]) -> Any:
    if name not in VALUES:
        return example_of(schema, components)
    known = VALUES[name]
    choices = _choices(schema, components)
    fitting = [
        value
        for value in (known if isinstance(known, tuple) else (known,))
        if (value in choices if choices else _fits(value, schema))
    ]
    return fitting[0] if fitting else example_of(schema, components)


def _choices(schema: dict[str, Any], components: dict[str, Any]) -> list[Any]:
    """The values of an enumeration, wherever the document keeps it; none of what is no enumeration."""
    if "$ref" in schema:
        return _choices(components[schema["$ref"].rpartition("/")[2]], components)
    parts = [each for several in ("allOf", "oneOf", "anyOf") for each in schema.get(several, ())]
    return [*schema.get("enum", ()), *(value for each in parts for value in _choices(each, components))]


def example_complete(operation: str, status: str, example: Any) -> Any:
    """The example with what is this operation's own; `status` is that of the answer, or `request`."""
    own = OF_OPERATION.get((operation, status))
    return example | own if own and isinstance(example, dict) else example
