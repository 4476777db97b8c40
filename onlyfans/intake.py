"""Answers how what the vendor tells is taken into the CRM, by an event or by a sync.
Writes through the services of crm and messaging."""

from datetime import datetime
from uuid import UUID

from crm.models import Fan, Message, TransactionKind, TransactionSource, TransactionStatus
from crm.payloads import media_attachments
from crm.services import FanNews, message_receive, message_record_sent
from crm.transaction_services import TransactionRow
from messaging.services import delivery_recognise
from onlyfans.event_payloads import FanFacts, MessageFacts, MoneyFacts


def fan_news(
    facts: FanFacts, *, as_of: datetime, seen_at: datetime | None = None, subscribed: bool | None = None
) -> FanNews:
    """What the vendor's JSON says of a fan, as the CRM takes it."""
    return FanNews(
        platform_id=facts.platform_id,
        handle=facts.handle,
        name=facts.name,
        avatar=facts.avatar,
        seen_at=seen_at,
        subscribed=facts.subscribed if subscribed is None else subscribed,
        value_cents=facts.value_cents,
        value_as_of=as_of if facts.value_cents is not None else None,
    )


def transaction_row(
    facts: MoneyFacts, *, source: TransactionSource, fan: Fan | None, message_id: UUID | None = None
) -> TransactionRow:
    """What the vendor's JSON says of money, as the CRM takes it."""
    return TransactionRow(
        kind=TransactionKind(facts.kind),
        status=TransactionStatus(facts.status),
        gross_cents=facts.gross_cents,
        fee_cents=facts.fee_cents,
        net_cents=facts.net_cents,
        vat_cents=facts.vat_cents,
        currency=facts.currency,
        occurred_at=facts.occurred_at,
        source=source,
        key=facts.key,
        fan_id=fan.pk if fan else None,
        fan_name=fan.name or fan.handle if fan else "",
        message_id=message_id,
    )


def message_take(*, fan: Fan, facts: MessageFacts, read: bool = False) -> bool:
    """Store a message of a fan's chat, whoever wrote it, unless it is known; whether it was new.

    read: of one that the fan wrote, that it was read at the platform.
    """
    attachments = media_attachments(facts.media)
    if not facts.sent_by_me:
        return (
            message_receive(
                fan=fan,
                text=facts.text,
                received_at=facts.created_at,
                platform_message_id=facts.platform_id,
                price_cents=facts.price_cents,
                attachments=attachments,
                read=read,
            )
            is not None
        )
    if delivery_recognise(fan=fan, text=facts.text, platform_message_id=facts.platform_id, sent_at=facts.created_at):
        return False
    return (
        message_record_sent(
            fan=fan,
            text=facts.text,
            sent_at=facts.created_at,
            platform_message_id=facts.platform_id,
            price_cents=facts.price_cents,
            attachments=attachments,
        )
        is not None
    )


def bought_message_id(fan: Fan, facts: MoneyFacts) -> UUID | None:
    """The message of this fan that the money was paid for, where the vendor names one that is stored."""
    if not facts.message_id:
        return None
    bought = Message.objects.filter(conversation__fan=fan, platform_message_id=facts.message_id)
    return bought.values_list("pk", flat=True).first()
