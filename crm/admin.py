"""Answers questions about users, creators and what was said. Touches the CRM's tables; texts are not shown."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q, QuerySet
from django.db.models.lookups import PatternLookup
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminSelectWidget

from crm import sign_ins
from crm.audit_selectors import event_models
from crm.errors import Conflict, HuntazeError
from crm.models import (
    Conversation,
    Creator,
    EndedSignIn,
    FanBatch,
    IdempotencyKey,
    Membership,
    Message,
    QuickReply,
    Role,
    SignIn,
    Transaction,
    User,
)
from crm.selectors import owned_alone_list
from crm.team import member_add, member_change, member_remove, users_delete
from crm.time_zones import creator_time_zone_set, zone_choices

admin.site.unregister(Group)


@models.CharField.register_lookup
class Containing(PatternLookup):
    """As `icontains`, by the operator that trigram indexes answer; Django's own compares UPPER() of the column."""

    lookup_name = "ilike"
    param_pattern = "%%%s%%"

    def get_rhs_op(self, connection: Any, rhs: str) -> str:
        return f"ILIKE {rhs}"


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Looked at here, written by services alone. An action asks for `operate`: the right to change, without a form."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def told(view: Callable[..., HttpResponse], request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """The view's answer; where a service refuses, its page again with the reason."""
    try:
        return view(request, *args, **kwargs)
    except HuntazeError as error:
        messages.error(request, error.detail)
        return redirect(request.get_full_path())


class SavedByServices:
    """Of a form that services save: what they refuse is said above it, and nothing of it is saved."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return told(super().changeform_view, request, *args, **kwargs)  # type: ignore[misc]  # of the admin


class UncountedAdmin(ReadOnlyAdmin):
    """Of a table that grows for ever: its pages are drawn without counting it."""

    paginator = InfinitePaginator
    show_full_result_count = False


class LargeAdmin(UncountedAdmin):
    """Of a table with millions of rows: a search by whole ids and names, no drop-downs of rows.

    search_exact: columns that hold the term itself, each with the foreign key that its unique index begins with, if
    any. search_like: columns with a trigram index.
    """

    list_per_page = 50
    search_exact: ClassVar[dict[str, str]] = {}
    search_like: tuple[str, ...] = ()

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """What makes the box appear; `get_search_results` does the search."""
        return (*self.search_exact, *self.search_like)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        found = Q(pk__in=[])
        for column, tenant in self.search_exact.items():
            field = self.opts.get_field(column)
            try:
                condition = Q(**{column: field.to_python(term)})
            except ValidationError:  # no such id can be
                continue
            if tenant:
                owners = self.opts.get_field(tenant).related_model.objects.values("pk")
                condition &= Q(**{f"{tenant}__in": owners})
            found |= condition
        for column in self.search_like:
            found |= Q(**{f"{column}__ilike": term})
        return queryset.filter(found), False


class AcrossTables:
    """Searches columns of several tables: each by its own index, which a condition with OR between them cannot use."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term, columns = search_term.strip(), self.search_fields  # type: ignore[attr-defined]  # of the admin
        if not term:
            return queryset, False
        first, *others = (queryset.model.objects.filter(**{column: term}).values("pk") for column in columns)
        return queryset.filter(pk__in=first.union(*others)), False


class MembershipInline(TabularInline):  # type: ignore[misc]
    model = Membership
    extra = 0
    autocomplete_fields = ("user", "creator")


class WithMemberships(SavedByServices):
    """Whoever comes does so before another leaves, since a creator is never without an owner."""

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)
        for new in formset.new_objects:
            member_add(creator=new.creator, email=new.user.email, role=Role(new.role))
        for changed, fields in sorted(formset.changed_objects, key=lambda each: each[0].role != Role.OWNER):
            if fields != ["role"]:
                raise Conflict("A membership stays between the two: remove it, and add another.")
            member_change(creator=changed.creator, membership_id=changed.pk, role=Role(changed.role))
        for gone in formset.deleted_objects:
            member_remove(creator=gone.creator, membership_id=gone.pk)


@admin.register(User)
class UserAdmin(WithMemberships, DjangoUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email__ilike", "name__ilike")
    ordering = ("email",)
    inlines = (MembershipInline,)
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Times", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "name", "password1", "password2")}),)
    readonly_fields = ("last_login", "date_joined")
    actions = ("sign_out",)

    def has_sign_out_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("crm.add_endedsignin"))

    @admin.action(description="Sign out everywhere: browsers and tokens", permissions=["sign_out"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        ended = sum(sign_ins.sign_ins_end_all(user=user) for user in queryset)
        messages.success(request, f"{ended} sign-ins ended.")

    def get_deleted_objects(
        self, objs: Sequence[User] | QuerySet[User], request: HttpRequest
    ) -> tuple[Any, Any, set[str], list[Any]]:
        """What goes with these users, though services alone write it; and what they may not leave behind."""
        deleted, counts, forbidden, protected = super().get_deleted_objects(objs, request)
        theirs = [self.admin_site.get_model_admin(model).opts for model in (Membership, SignIn, IdempotencyKey)]
        forbidden -= {opts.verbose_name for opts in theirs}
        protected += [
            format_html(
                'Membership: {} is the only owner of <a class="underline" href="{}">{}</a>.'
                " Make somebody else an owner first.",
                membership.user,
                reverse("admin:crm_creator_change", args=[membership.creator_id]),
                membership.creator,
            )
            for membership in owned_alone_list(user_ids=[user.pk for user in objs])
        ]
        return deleted, counts, forbidden, protected

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        users_delete(users=[obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        users_delete(users=queryset)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return told(super().delete_view, request, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return told(super().changelist_view, request, *args, **kwargs)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]
    # Django's own index of the table finds beginnings.
    search_fields = ("name__startswith",)


class CreatorForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when it runs
    """Days are counted by a zone that Python and PostgreSQL know."""

    time_zone = forms.ChoiceField(widget=UnfoldAdminSelectWidget)

    class Meta:
        model = Creator
        fields = ("name", "platform", "time_zone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = zone_choices(chosen=self.instance.time_zone)
        self.fields["time_zone"].choices = [(each.name, f"{each.name} ({each.offset})") for each in zones]  # type: ignore[attr-defined]


@admin.register(Creator)
class CreatorAdmin(WithMemberships, ModelAdmin):  # type: ignore[misc]
    form = CreatorForm
    list_display = ("name", "platform", "time_zone", "created_at")
    search_fields = ("name__ilike",)
    inlines = (MembershipInline,)

    def save_model(self, request: HttpRequest, obj: Creator, form: CreatorForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if "time_zone" in form.changed_data:
            creator_time_zone_set(creator=obj, name=obj.time_zone)


@admin.register(Membership)
class MembershipAdmin(AcrossTables, ReadOnlyAdmin):
    """Given and taken on the page of a user or a creator."""

    list_display = ("user", "creator", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "creator")
    search_fields = ("user__email__ilike", "creator__name__ilike")


@admin.register(Conversation)
class ConversationAdmin(LargeAdmin):
    list_display = ("fan", "creator", "last_message_at", "unread_count", "archived")
    list_filter = ("archived", "creator")
    list_select_related = ("fan", "creator")
    search_like = ("fan__name", "fan__handle")


@admin.register(Message)
class MessageAdmin(LargeAdmin):
    # The text is the fan's and the creator's; an operator needs the state, not the words.
    list_display = ("id", "creator", "direction", "status", "created_at", "sent_at")
    fields = ("id", "creator", "direction", "status", "price_cents", "created_at", "sent_at")
    list_filter = ("status", "direction", "creator")
    list_select_related = ("creator",)
    ordering = ("-id",)
    search_exact = {"id": "", "platform_message_id": "creator"}


@admin.register(Transaction)
class TransactionAdmin(LargeAdmin):
    list_display = ("id", "creator", "kind", "status", "gross_cents", "net_cents", "currency", "occurred_at", "source")
    fields = (*list_display, "fee_cents", "vat_cents", "platform_transaction_id", "event_id", "notice_id", "file_key")
    list_filter = ("kind", "status", "source", "creator")
    list_select_related = ("creator",)
    ordering = ("-id",)
    search_exact = {"platform_transaction_id": "creator", "event_id": "creator"}


@admin.register(FanBatch)
class FanBatchAdmin(LargeAdmin):
    list_display = ("id", "creator", "created_at")
    fields = list_display
    list_filter = ("creator",)
    list_select_related = ("creator",)
    ordering = ("-id",)
    search_exact = {"id": ""}


@admin.register(QuickReply)
class QuickReplyAdmin(LargeAdmin):
    list_display = ("shortcut", "creator", "created_at")
    list_filter = ("creator",)
    list_select_related = ("creator",)
    ordering = ("-id",)
    search_exact = {"shortcut": "creator"}


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(LargeAdmin):
    # The answer that is kept may hold what somebody wrote.
    list_display = ("id", "creator", "user", "status_code", "subject", "created_at", "claimed_until")
    fields = list_display
    list_select_related = ("creator", "user")
    ordering = ("-id",)
    search_exact = {"key": "user"}


@admin.register(SignIn)
class SignInAdmin(LargeAdmin):
    list_display = ("user", "agent", "began_at", "seen_at")
    # A session's key opens it.
    fields = list_display
    list_select_related = ("user",)
    ordering = ("-id",)
    search_like = ("user__email",)


@admin.register(EndedSignIn)
class EndedSignInAdmin(LargeAdmin):
    list_display = ("sign_in", "ended_at")
    ordering = ("-ended_at",)
    search_exact = {"sign_in": ""}


class EventAdmin(LargeAdmin):
    """That something was changed, and who did it; the words themselves are the owners' to read."""

    list_display = ("pgh_created_at", "pgh_label", "id", "creator", "pgh_context")
    fields = list_display
    list_filter = ("pgh_label",)
    list_select_related = ("creator",)
    ordering = ("-pgh_id",)
    # Of what was changed, not of the change.
    search_exact = {"id": ""}


admin.site.register(event_models(), EventAdmin)
