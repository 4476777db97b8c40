"""Answers which slot a message gets, and locks whoever books one. Writes the slots of a creator's sending profile.

A slot is when a message is due. Replies book theirs in the profile, under its lock; those of campaigns are kept in
the deliveries alone, which the caller writes, under a lock of their own.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.utils import timezone

from crm.statements import rows_read
from messaging import queue, selectors
from messaging.models import Campaign, SendingProfile
from messaging.slots import capacity, grouped, slot_next

# How far the slots of one group lie apart at most: what is received at once waits for its turn in a worker's hands.
GROUP_SPAN_SECONDS = 30
# A token returns one window after its send ended, so a campaign falls behind its plan by what a send takes, window by
# window. That much later is each window planned: 0.3 s of 60 s.
SEND_SHARE = 0.005


def sending_profile_lock(*, creator_id: int) -> SendingProfile:
    """The creator's limits and slots, made when there are none; locked until the caller's transaction ends."""
    locked = rows_read(SendingProfile, "creator_id = %s FOR UPDATE", [creator_id])
    if not locked:
        SendingProfile.objects.bulk_create([SendingProfile(creator_id=creator_id)], ignore_conflicts=True)
        locked = rows_read(SendingProfile, "creator_id = %s FOR UPDATE", [creator_id])
    return locked[0]


def campaign_lane_lock(*, creator_id: int) -> None:
    """One at a time plans a creator's campaigns, until the caller's transaction ends.

    Not a lock on the creator's row: the messages of a large campaign take seconds to write, and meanwhile replies are
    planned and sent.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"campaign lane {creator_id}"])


def sending_profile_ensure(*, creator_id: int) -> None:
    """Make the creator's limits where there are none, so that no long transaction has to."""
    SendingProfile.objects.get_or_create(creator_id=creator_id)


# For whoever books replies (slot_take) and writes their rows: in the same statement as those.
REPLY_SLOTS_SET = "UPDATE messaging_sendingprofile SET reply_slots = %s::timestamptz[] WHERE creator_id = %s"


def slot_take(profile: SendingProfile, *, campaign: bool, count: int) -> list[datetime]:
    """The next slots of a creator's lane, for a caller who holds the creator's row until its transaction ends.

    Those of replies are noted in `profile.reply_slots`, which the caller writes (REPLY_SLOTS_SET).
    """
    if campaign:
        campaign_lane_lock(creator_id=profile.pk)
        taken = selectors.campaign_slots_taken(profile=profile)
        return slots_plan(profile, campaign=True, taken=taken, count=count, earliest=timezone.now())
    slots = slots_plan(profile, campaign=False, taken=profile.reply_slots, count=count, earliest=timezone.now())
    profile.reply_slots = [*profile.reply_slots, *slots][-profile.limit_messages :]
    return slots


def slot_give_back(*, creator_id: int, due_at: datetime) -> bool:
    """Whether the next reply has the slot of one that was cancelled; the creator's row is locked until
    the caller's transaction ends.

    Only the last slot is given back: those after another one are planned around it already. In its place stands the
    one that it follows from, a window earlier, because the slots before the last few are forgotten.
    """
    profile = sending_profile_lock(creator_id=creator_id)
    if not profile.reply_slots or profile.reply_slots[-1] != due_at or due_at <= timezone.now():
        return False
    follows_from = due_at - timedelta(milliseconds=profile.window_ms)
    profile.reply_slots = sorted([follows_from, *profile.reply_slots[:-1]])
    profile.save(update_fields=["reply_slots"])
    return True


def slot_again(*, creator_id: int, campaign: bool, earliest: datetime) -> datetime:
    """The nearest time for a message that lost its slot; the caller's transaction holds the creator's row.

    Spaced from others that lost theirs, and beside the plan: at the plan's end it would wait for all of a campaign.
    Whoever finds its place taken waits a little longer in a worker's hands.
    """
    profile = sending_profile_lock(creator_id=creator_id)
    lane = "campaign_hop_slots" if campaign else "reply_hop_slots"
    taken = getattr(profile, lane)
    slot = slot_next(
        taken,
        not_before=earliest,
        capacity=capacity(limit=profile.limit_messages, campaign=campaign),
        window=timedelta(milliseconds=profile.window_ms),
        gap=timedelta(milliseconds=profile.min_gap_ms),
    )
    setattr(profile, lane, [*taken, slot][-profile.limit_messages :])
    profile.save(update_fields=[lane])
    return slot


def slots_plan(
    profile: SendingProfile,
    *,
    campaign: bool,
    taken: Sequence[datetime],
    count: int,
    earliest: datetime,
    busy: Sequence[tuple[datetime, datetime]] = (),
) -> list[datetime]:
    """The slots after those `taken`, from `earliest` on, around the stretches that are `busy` (all oldest first)."""
    slots = list(taken)
    window = timedelta(milliseconds=profile.window_ms * (1 + SEND_SHARE) if campaign else profile.window_ms)
    fit = capacity(limit=profile.limit_messages, campaign=campaign)
    gap = timedelta(milliseconds=profile.min_gap_ms)
    for _ in range(count):
        slot = slot_next(slots, not_before=earliest, capacity=fit, window=window, gap=gap)
        for begin, end in busy:
            # A whole window away on both sides, so that neither counts the other's messages.
            if begin - window < slot < end + window:
                slot = slot_next(slots, not_before=end + window, capacity=fit, window=window, gap=gap)
        slots.append(slot)
    return slots[len(slots) - count :]


def slot_block_reserve(*, campaign: Campaign, count: int, replanned: Collection[int] = ()) -> list[datetime]:
    """When each message of a campaign is due, in groups; the caller's transaction plans alone until it ends.

    Later campaigns go after it, except before one that is scheduled: they are planned around that.
    replanned: campaigns whose parked messages get other slots in the same transaction, after these.
    """
    campaign_lane_lock(creator_id=campaign.creator_id)
    profile, _ = SendingProfile.objects.get_or_create(creator_id=campaign.creator_id)
    now = timezone.now()
    slots = slots_plan(
        profile,
        campaign=True,
        taken=selectors.campaign_slots_taken(profile=profile, without_parked_of=[campaign.pk, *replanned]),
        count=count,
        earliest=max(now, campaign.scheduled_at or now),
        busy=selectors.campaign_stretches(creator_id=campaign.creator_id, without_campaign_id=campaign.pk),
    )
    # In a worker's hands for a sixth of the time-out at most, because what outlives it is handed out again.
    span = min(GROUP_SPAN_SECONDS, settings.SQS_VISIBILITY_TIMEOUT_SECONDS / 6)
    return grouped(slots, most=queue.BATCH_MAX_ENTRIES, span=timedelta(seconds=span))
