"""Answers what a test's users, creators, fans and messages are made of. Touches tables as a test asks."""

from datetime import UTC, datetime

import factory
from factory.django import DjangoModelFactory

from crm.models import (
    Conversation,
    Creator,
    Direction,
    Fan,
    Membership,
    Message,
    MessageStatus,
    QuickReply,
    Role,
    Transaction,
    TransactionKind,
    TransactionSource,
    User,
)

PASSWORD = "a long enough password"


class UserFactory(DjangoModelFactory[User]):
    """Signs in with PASSWORD unless the test gives another one."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"user{n}@example.com")
    name = factory.Sequence(lambda n: f"User {n}")
    password = factory.django.Password(PASSWORD)


class CreatorFactory(DjangoModelFactory[Creator]):
    class Meta:
        model = Creator

    name = factory.Sequence(lambda n: f"Creator {n}")


class MembershipFactory(DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    creator = factory.SubFactory(CreatorFactory)
    role = Role.OWNER


class FanFactory(DjangoModelFactory[Fan]):
    """A fan whose numeric id is known; give `platform_id=handle` for one who came by handle alone."""

    class Meta:
        model = Fan

    creator = factory.SubFactory(CreatorFactory)
    platform_id = factory.Sequence(lambda n: str(9_000_000 + n))
    handle = factory.Sequence(lambda n: f"fan{n}")
    name = factory.Sequence(lambda n: f"Fan {n}")


class ConversationFactory(DjangoModelFactory[Conversation]):
    class Meta:
        model = Conversation

    fan = factory.SubFactory(FanFactory)
    creator = factory.SelfAttribute("fan.creator")


class MessageFactory(DjangoModelFactory[Message]):
    """A message from the fan; `outbound=True` makes it one that went out."""

    class Meta:
        model = Message

    class Params:
        outbound = factory.Trait(
            direction=Direction.OUT,
            status=MessageStatus.SENT,
            sent_at=datetime(2026, 11, 1, 12, tzinfo=UTC),
        )

    conversation = factory.SubFactory(ConversationFactory)
    creator = factory.SelfAttribute("conversation.creator")
    direction = Direction.IN
    status = MessageStatus.RECEIVED
    text = factory.Sequence(lambda n: f"Message {n}")
    created_at = datetime(2026, 11, 1, 12, tzinfo=UTC)


class QuickReplyFactory(DjangoModelFactory[QuickReply]):
    class Meta:
        model = QuickReply

    creator = factory.SubFactory(CreatorFactory)
    shortcut = factory.Sequence(lambda n: f"reply-{n}")
    text = "Hey {name}"


class TransactionFactory(DjangoModelFactory[Transaction]):
    """A tip of ten dollars from the platform's list, of which eight are the creator's."""

    class Meta:
        model = Transaction

    fan = factory.SubFactory(FanFactory)
    creator = factory.SelfAttribute("fan.creator")
    kind = TransactionKind.TIP
    gross_cents = 1_000
    fee_cents = 200
    net_cents = 800
    occurred_at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    source = TransactionSource.LEDGER
    platform_transaction_id = factory.Sequence(lambda n: f"{n:032x}")
