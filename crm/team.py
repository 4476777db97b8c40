"""Answers how people come to work for a creator, change roles and leave, the installation too.
Writes memberships, and deletes users."""

from collections.abc import Collection

from django.db import transaction
from django.utils.translation import gettext

from crm.errors import Conflict, FieldError, InvalidInput, NotFound
from crm.models import Creator, Membership, Role, User
from crm.selectors import owned_alone_list


def member_add(*, creator: Creator, email: str, role: Role) -> Membership:
    """Let somebody who has an account here work for the creator.

    Raises InvalidInput where nobody has this address, and Conflict for somebody who is on the team already.
    """
    user = User.objects.filter(email=email.strip().lower(), is_active=True).first()
    if user is None:
        wrong = FieldError(
            "email", "user_not_found", gettext("Nobody signs in here with this address; they need an account.")
        )
        raise InvalidInput(wrong.detail, errors=(wrong,))
    membership, added = Membership.objects.get_or_create(user=user, creator=creator, defaults={"role": role})
    if not added:
        wrong = FieldError(
            "email",
            "already_member",
            gettext("They are on the team already, as %(role)s.") % {"role": membership.get_role_display()},
        )
        raise Conflict(wrong.detail, code="already_member", errors=(wrong,))
    return membership


@transaction.atomic
def member_change(*, creator: Creator, membership_id: int, role: Role) -> Membership:
    """Give somebody another role. Raises NotFound, and Conflict where the creator would be left without an owner."""
    membership = _locked(creator, membership_id)
    if role != Role.OWNER:
        _another_owner_require(membership)
    membership.role = role
    membership.save(update_fields=["role"])
    return membership


@transaction.atomic
def member_remove(*, creator: Creator, membership_id: int) -> None:
    """End somebody's work for the creator; what they wrote stays. Raises what member_change does."""
    membership = _locked(creator, membership_id)
    _another_owner_require(membership)
    membership.delete()


@transaction.atomic
def users_delete(*, users: Collection[User]) -> None:
    """End these accounts and all that is theirs alone; what they wrote stays.

    Raises Conflict where a creator would be left without an owner.
    """
    ids = [user.pk for user in users]
    theirs = Creator.objects.filter(pk__in=Membership.objects.filter(user__in=ids).values("creator"))
    # As _locked does, in one order; whose owners could change otherwise before they are gone.
    list(theirs.order_by("pk").select_for_update(no_key=True))
    if alone := owned_alone_list(user_ids=ids):
        names = ", ".join(sorted({membership.creator.name for membership in alone}))
        raise Conflict(
            gettext("Nobody else owns %(creators)s. Make somebody else an owner first.") % {"creators": names},
            code="last_owner",
        )
    User.objects.filter(pk__in=ids).delete()


def _locked(creator: Creator, membership_id: int) -> Membership:
    """With the creator's row, so that two owners cannot remove each other in the same moment."""
    Creator.objects.select_for_update(no_key=True).get(pk=creator.pk)
    membership = Membership.objects.filter(creator=creator, pk=membership_id).select_related("user").first()
    if membership is None:
        raise NotFound(gettext("There is no such member."), code="member_not_found")
    return membership


def _another_owner_require(membership: Membership) -> None:
    owners = Membership.objects.filter(creator=membership.creator_id, role=Role.OWNER).exclude(pk=membership.pk)
    if membership.role == Role.OWNER and not owners.exists():
        raise Conflict(gettext("This is the last owner. Make somebody else an owner first."), code="last_owner")
