"""Answers how a creator's quick replies come, change and go: their only writer."""

from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from crm.errors import Conflict, FieldError, InvalidInput
from crm.models import Creator, QuickReply
from crm.payloads import check_content
from crm.placeholders import placeholders_check

# As many as a menu can still be read; more would be a library.
MAX_PER_CREATOR = 200


def quick_reply_create(*, creator: Creator, shortcut: str, text: str) -> QuickReply:
    """Raises InvalidInput, naming the field, and Conflict where the shortcut is taken or there are too many."""
    _check(text)
    if QuickReply.objects.filter(creator=creator).count() >= MAX_PER_CREATOR:
        raise Conflict(
            gettext("There are %(most)s quick replies already; delete one first.") % {"most": MAX_PER_CREATOR},
            code="too_many",
        )
    return _saved(QuickReply(creator=creator, shortcut=shortcut, text=text))


def quick_reply_update(*, quick_reply: QuickReply, shortcut: str, text: str) -> QuickReply:
    """Raises what quick_reply_create does."""
    _check(text)
    quick_reply.shortcut, quick_reply.text = shortcut, text
    return _saved(quick_reply)


def quick_reply_delete(*, quick_reply: QuickReply) -> None:
    quick_reply.delete()


def _saved(quick_reply: QuickReply) -> QuickReply:
    try:
        with transaction.atomic():
            quick_reply.save()
    except IntegrityError as error:
        taken = FieldError(
            "shortcut",
            "taken",
            gettext("There is a quick reply /%(shortcut)s already.") % {"shortcut": quick_reply.shortcut},
        )
        raise Conflict(taken.detail, code="shortcut_taken", errors=(taken,)) from error
    return quick_reply


def _check(text: str) -> None:
    """It is sent as a message is, its placeholders filled in."""
    errors = check_content(content=text, media_urls=(), price_cents=0, content_field="text")
    errors += placeholders_check(text, field="text")
    if errors:
        raise InvalidInput(gettext("The quick reply cannot be kept as it is."), errors=tuple(errors))
