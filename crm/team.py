"""Answers how people come to work for a creator, change roles and leave. Writes memberships alone."""

from django.db import transaction
from django.utils.translation import gettext

from crm.errors import Conflict, FieldError, InvalidInput, NotFound
from crm.models import Creator, Membership, Role, User


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
