"""Answers questions about users, creators and what was said. Touches the CRM's tables; texts are not shown."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from crm.models import Conversation, Creator, Membership, Message, User

admin.site.unregister(Group)


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Looked at here, written by services alone."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipInline(TabularInline):  # type: ignore[misc]
    model = Membership
    extra = 0
    autocomplete_fields = ("user", "creator")


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("email", "name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name")
    ordering = ("email",)
    inlines = (MembershipInline,)
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Times", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "name", "password1", "password2")}),)
    readonly_fields = ("last_login", "date_joined")


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]
    pass


@admin.register(Creator)
class CreatorAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ("name", "platform", "time_zone", "created_at")
    search_fields = ("name",)
    inlines = (MembershipInline,)


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    list_display = ("fan", "creator", "last_message_at", "unread_count", "archived")
    list_filter = ("archived", "creator")
    list_select_related = ("fan", "creator")
    search_fields = ("fan__handle", "fan__name")
    show_full_result_count = False


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    # The text is the fan's and the creator's; an operator needs the state, not the words.
    list_display = ("id", "creator", "direction", "status", "created_at", "sent_at")
    fields = ("id", "creator", "conversation", "direction", "status", "price_cents", "created_at", "sent_at")
    list_filter = ("status", "direction", "creator")
    list_select_related = ("creator",)
    search_fields = ("=id",)
    show_full_result_count = False
