"""Answers which tables the CRM keeps: users, creators, fans, conversations, messages, money. A module per subject, each
importing only those whose rows its own point to; everybody else imports from here."""

from crm.models.audit import FanEvent, MembershipEvent, audit_indexes, audit_model
from crm.models.conversations import OUTBOUND_STATUSES, Conversation, Direction, Message, MessageStatus, QuickReply
from crm.models.creators import Creator, Membership, Platform, Role
from crm.models.fans import FAN_NAME_ORDER, FAN_SEEN_ORDER, Fan, FanBatch, FanBefore
from crm.models.idempotency import IdempotencyKey
from crm.models.ids import uuid7
from crm.models.indexes import search_index
from crm.models.transactions import (
    Transaction,
    TransactionBatch,
    TransactionBefore,
    TransactionKind,
    TransactionSource,
    TransactionStatus,
)
from crm.models.users import EndedSignIn, SignIn, User, UserManager

__all__ = [
    "FAN_NAME_ORDER",
    "FAN_SEEN_ORDER",
    "OUTBOUND_STATUSES",
    "Conversation",
    "Creator",
    "Direction",
    "EndedSignIn",
    "Fan",
    "FanBatch",
    "FanBefore",
    "FanEvent",
    "IdempotencyKey",
    "Membership",
    "MembershipEvent",
    "Message",
    "MessageStatus",
    "Platform",
    "QuickReply",
    "Role",
    "SignIn",
    "Transaction",
    "TransactionBatch",
    "TransactionBefore",
    "TransactionKind",
    "TransactionSource",
    "TransactionStatus",
    "User",
    "UserManager",
    "audit_indexes",
    "audit_model",
    "search_index",
    "uuid7",
]
