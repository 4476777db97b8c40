"""Answers an example of whatever a schema of the OpenAPI document describes. Touches nothing."""

from typing import Any

# By the member's name, which means the same everywhere; what is not here is made from its type.
VALUES: dict[str, Any] = {
    "access": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.signature",
    "attachments": [],
    "avatar": "https://cdn.example.com/avatars/184203817.jpg",
    "campaignMessages": 6,
    "campaignName": "Autumn set",
    "content": "Hi {firstName}, the new set is up.",
    "currency": "USD",
    "email": "user@example.com",
    "failed": [],
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
    "notes": "Likes the outdoor sets.",
    "pausedReason": "",
    "password": "a-long-pass-phrase",
    "platform": "onlyfans",
    "platformId": "184203817",
    "previous": None,
    "priceCents": 1500,
    "reason": "",
    "reasonCode": "",
    "recipientId": "184203817",
    "recipientIds": ["184203817", "fan_42"],
    "refresh": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.signature",
    "shortcut": "welcome",
    "tags": ["vip"],
    "text": "The new set is up.",
    "timeZone": "Europe/Paris",
    "token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.signature",
    "valueCents": 12500,
    "windowSeconds": 60,
}
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
        return example_of(components[schema["$ref"].rpartition("/")[2]], components)
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


def _member(name: str, schema: dict[str, Any], components: dict[str, Any]) -> Any:
    value = VALUES.get(name)
    kind = {str: "string", int: "integer", float: "number", list: "array"}.get(type(value))
    fits = (kind is not None and kind == schema.get("type")) or (value is None and schema.get("nullable"))
    return value if name in VALUES and (fits or "anyOf" in schema) else example_of(schema, components)
