"""
Staff's view of people. Nothing is edited in place: what staff may do is an action that calls a service with a reason.

Passwords, codes and tokens are shown nowhere, not even as hashes, and nobody can set one.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts import services
from accounts.models import (
    Notification,
    NotificationChoice,
    PasswordReset,
    SetupToken,
    SignupChallenge,
    StaffAction,
    TokenFamily,
    User,
)
from accounts.roles import ASSIGN, EXCEED_CAPACITY, REVIEW_FACES, ROLES, role_of
from accounts.second_factor import has_app
from common.admin import ReadOnlyAdmin, in_words, link_to, redirect_from_dialog
from common.errors import FairseatError

STATE_COLOURS = {"open": "success", "closed": "warning", "erased": "default"}
EXTRA_FIELDS = {"review_faces": REVIEW_FACES, "exceed_capacity": EXCEED_CAPACITY}
WAITING_COLOURS = {"waiting": "info", "used": "success", "replaced": "default", "expired": "default"}


class ReasonForm(BaseDialogForm):
    """Why staff does this; it is kept in the audit."""

    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept with your name. The person does not read it.",
    )


class PersonForm(ReasonForm):
    """A dialog about one person, filled with what is so now."""

    def __init__(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        person = User.objects.filter(pk=object_id).values(*self.base_fields.keys() - {"reason", "_form_submitted"})
        kwargs["initial"] = {**(person.first() or {}), **(kwargs.get("initial") or {})}
        super().__init__(request, object_id, *args, **kwargs)


class ProfileForm(PersonForm):
    name = forms.CharField(max_length=150, required=False, widget=UnfoldAdminTextInputWidget)
    phone = forms.CharField(max_length=32, required=False, widget=UnfoldAdminTextInputWidget)


class AccountForm(PersonForm):
    is_active = forms.BooleanField(
        required=False,
        label="Account open",
        help_text="Closing it ends every session.",
        widget=UnfoldBooleanSwitchWidget,
    )
    is_organiser = forms.BooleanField(
        required=False,
        label="Organiser",
        help_text="Makes events and manages their own.",
        widget=UnfoldBooleanSwitchWidget,
    )


class RoleForm(ReasonForm):
    """A role of staff, and the rights beyond it."""

    role = forms.ChoiceField(
        required=False,
        choices=[("", "No staff"), *[(name, f"{role.label}: {role.duty}") for name, role in ROLES.items()]],
        widget=UnfoldAdminSelectWidget,
    )
    review_faces = forms.BooleanField(
        required=False,
        label="May look at faces",
        help_text="For managers who review failed checks. Every look is written down.",
        widget=UnfoldBooleanSwitchWidget,
    )
    exceed_capacity = forms.BooleanField(
        required=False,
        label="May raise a capacity for one more ticket",
        help_text="For managers.",
        widget=UnfoldBooleanSwitchWidget,
    )
    field_order = ["role", "review_faces", "exceed_capacity", "reason"]

    def __init__(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        person = User.objects.filter(pk=object_id).first()
        if person is not None:
            extras = services.extras_of(person)
            now = {"role": role_of(person)} | {field: name in extras for field, name in EXTRA_FIELDS.items()}
            kwargs["initial"] = now | (kwargs.get("initial") or {})
        super().__init__(request, object_id, *args, **kwargs)


class EraseForm(ReasonForm):
    cancel = forms.BooleanField(
        required=False,
        label="Cancel their bookings of events to come",
        help_text="What was paid goes back. Without this, such bookings stop the erasure.",
        widget=UnfoldBooleanSwitchWidget,
    )


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    list_display = ["email", "name", "state", "role", "is_organiser", "created_at", "last_login"]
    list_filter = ["is_staff", "groups", "is_organiser", "is_active", "created_at"]
    search_fields = ["email", "name"]
    search_help_text = "Mail or name"
    ordering = ["-created_at", "id"]
    actions_detail = [
        "change_profile",
        "change_account",
        "give_role",
        {
            "title": "More",
            "icon": "more_horiz",
            "items": ["reset_mfa", "mail_reset_link", "end_sessions", "erase"],
        },
    ]
    fieldsets = [
        (None, {"fields": ["email", "name", "phone", "state"]}),
        ("Roles", {"fields": ["role", "rights", "is_organiser", "factor"]}),
        ("Times", {"fields": ["created_at", "last_login", "erased_at"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def has_assign_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether this member of staff gives roles and resets second factors."""
        return request.user.has_perm(ASSIGN)

    @display(description="Role")
    def role(self, user: User) -> str:
        name = role_of(user)
        return ROLES[name].label if name else "staff without a role" if user.is_staff else "–"

    @display(description="Rights beyond the role")
    def rights(self, user: User) -> str:
        names = {name: field.replace("_", " ") for field, name in EXTRA_FIELDS.items()}
        return ", ".join(names[name] for name in services.extras_of(user)) or "–"

    @display(description="Second factor")
    def factor(self, user: User) -> str:
        app = ["app"] if has_app(user.pk) else []
        named = [
            f"passkey “{one.name}”" + (" (refused: may be a copy)" if one.copied_at else "")
            for one in user.passkeys.order_by("created_at")
        ]
        return ", ".join(app + named) or "–"

    @display(description="Account", label=STATE_COLOURS)
    def state(self, user: User) -> str:
        if user.erased_at:
            return "erased"
        return "open" if user.is_active else "closed"

    @action(
        description="Change name or phone",
        url_path="profile",
        permissions=["act"],
        icon="edit",
        dialog={
            "title": "Change name or phone",
            "description": "The mail address is the login and does not change.",
            "form_class": ProfileForm,
            "form_submit_text": "Change",
        },
    )
    def change_profile(self, request: HttpRequest, form: ProfileForm, object_id: str) -> HttpResponse:
        return self.do(request, object_id, services.update_user, "Changed.", **wanted(form))

    @action(
        description="Open, close, organiser",
        url_path="account",
        permissions=["act"],
        icon="manage_accounts",
        dialog={
            "title": "Change the account",
            "description": "Only owners change the account of a member of staff, and nobody their own rights.",
            "form_class": AccountForm,
            "form_submit_text": "Change",
        },
    )
    def change_account(self, request: HttpRequest, form: AccountForm, object_id: str) -> HttpResponse:
        return self.do(request, object_id, services.update_user, "Changed.", **wanted(form))

    @action(
        description="Give a role",
        url_path="role",
        permissions=["assign"],
        icon="badge",
        dialog={
            "title": "Staff role",
            "description": "What each role may do is in the operators' guide. Nobody changes their own.",
            "form_class": RoleForm,
            "form_submit_text": "Give it",
        },
    )
    def give_role(self, request: HttpRequest, form: RoleForm, object_id: str) -> HttpResponse:
        wish = wanted(form)
        extras = frozenset(name for field, name in EXTRA_FIELDS.items() if wish[field])
        done = f"Their role is {ROLES[wish['role']].label.lower()} now." if wish["role"] else "They are no staff now."
        given = {"role": wish["role"], "extras": extras, "reason": wish["reason"]}
        return self.do(request, object_id, services.assign_role, done, **given)

    @action(
        description="Reset the second factor",
        url_path="reset-mfa",
        permissions=["assign"],
        icon="phonelink_erase",
        dialog={
            "title": "Reset the second factor",
            "description": "App, passkeys and recovery codes go, and every session ends. Make sure that it is really them.",
            "form_class": ReasonForm,
            "form_submit_text": "Reset it",
        },
    )
    def reset_mfa(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self.do(request, object_id, services.reset_mfa, "The second factor is removed.", **wanted(form))

    @action(
        description="Mail a link to set a new password",
        url_path="reset-link",
        permissions=["act"],
        icon="key",
        dialog={
            "title": "Mail a link to set a new password",
            "description": "Staff never see or set passwords.",
            "form_class": ReasonForm,
            "form_submit_text": "Send the mail",
        },
    )
    def mail_reset_link(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        done = "The mail is on its way, unless one left a moment ago."
        return self.do(request, object_id, services.mail_reset_link_as_staff, done, **wanted(form))

    @action(
        description="End every session",
        url_path="end-sessions",
        permissions=["act"],
        icon="logout",
        dialog={
            "title": "End every session",
            "description": "Every browser and app of this person is logged out at once.",
            "form_class": ReasonForm,
            "form_submit_text": "End them",
        },
    )
    def end_sessions(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self.do(request, object_id, services.end_sessions_as_staff, "Logged out everywhere.", **wanted(form))

    @action(
        description="Erase",
        url_path="erase",
        permissions=["act"],
        icon="delete_forever",
        dialog={
            "title": "Erase this person",
            "description": "Name, address and telephone number are gone for good. Sales stay without them.",
            "form_class": EraseForm,
            "form_submit_text": "Erase for good",
        },
    )
    def erase(self, request: HttpRequest, form: EraseForm, object_id: str) -> HttpResponse:
        return self.do(request, object_id, services.erase_user, "Erased.", **wanted(form))

    def do(
        self, request: HttpRequest, object_id: str, service: Callable[..., object], done: str, **wishes: Any
    ) -> HttpResponse:
        """Call the service for this member of staff, tell what came of it, and go back to the person."""
        try:
            service(actor=request.user, user_id=UUID(object_id), **wishes)
        except FairseatError as error:
            self.message_user(request, error.text, messages.ERROR)
        else:
            self.message_user(request, done, messages.SUCCESS)
        return redirect_from_dialog(request, reverse("admin:accounts_user_change", args=[object_id]))


def wanted(form: BaseDialogForm) -> dict[str, Any]:
    """Return what a dialog asks for, without the field by which it knows that it was sent."""
    return {name: value for name, value in form.cleaned_data.items() if not name.startswith("_")}


@admin.register(SignupChallenge)
class SignupChallengeAdmin(ReadOnlyAdmin):
    list_display = ["email", "state", "tries", "created_at", "sent_at", "expires_at"]
    search_fields = ["email"]
    search_help_text = "Mail"
    ordering = ["-created_at"]
    fields = ["email", "state", "tries", "created_at", "sent_at", "expires_at", "used_at", "superseded_at"]

    @display(description="State", label=WAITING_COLOURS)
    def state(self, challenge: SignupChallenge) -> str:
        if challenge.used_at:
            return "used"
        return "replaced" if challenge.superseded_at else "waiting"


@admin.register(TokenFamily)
class TokenFamilyAdmin(ReadOnlyAdmin):
    list_display = ["user", "created_at", "last_used_at", "revoked_at", in_words("revoked_because")]
    list_select_related = ["user"]
    list_filter = ["revoked_because", "created_at"]
    search_fields = ["user__email"]
    search_help_text = "Mail"
    ordering = ["-created_at"]
    fields = ["user", "created_at", "last_used_at", "revoked_at", "revoked_because"]


@admin.register(PasswordReset)
class PasswordResetAdmin(ReadOnlyAdmin):
    list_display = ["email", "created_at", "sent_at", "expires_at", "used_at"]
    search_fields = ["email"]
    search_help_text = "Mail"
    ordering = ["-created_at"]
    fields = list_display


@admin.register(SetupToken)
class SetupTokenAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "expires_at", "used_at", "used_by"]
    list_select_related = ["used_by"]
    ordering = ["-created_at"]
    fields = list_display


# Where the page of what staff changed is; the apps above this one are known by the names of their pages alone.
PAGES = {
    "attention": "payments_attention",
    "batch": "registrations_batchrun",
    "booking": "bookings_booking",
    "event": "events_event",
    "outboxmessage": "common_outboxmessage",
    "payment": "payments_payment",
    "periodictask": "django_celery_beat_periodictask",
    "refund": "payments_refund",
    "registration": "registrations_registration",
    "scan": "gate_scan",
    "ticket": "bookings_ticket",
    "user": "accounts_user",
    "waitlist_entry": "waitlist_waitlistentry",
}


@admin.register(StaffAction)
class StaffActionAdmin(ReadOnlyAdmin):
    list_display = ["at", "actor", in_words("action"), "what", "reason"]
    list_select_related = ["actor"]
    list_filter = ["action", "object_type", "at"]
    search_fields = ["actor__email", "object_id", "reason", "request_id"]
    search_help_text = "Mail of who did it, reason, or id of what it was done to"
    date_hierarchy = "at"
    fields = ["at", "actor", in_words("action"), "what", "object_id", "before", "after", "reason", "request_id"]

    @display(description="What", ordering="object_type")
    def what(self, done: StaffAction) -> str:
        words = done.object_type.replace("_", " ").capitalize()
        page = PAGES.get(done.object_type)
        return link_to(page, done.object_id, words) if page and done.object_id else words


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "user", in_words("kind"), "read_at", "texted_at"]
    list_select_related = ["user"]
    list_filter = ["kind", "created_at"]
    search_fields = ["user__email", "cause"]
    search_help_text = "Mail of who was told"
    ordering = ["-created_at", "id"]
    fields = ["created_at", "user", in_words("kind"), "cause", "url", "context", "read_at", "texted_at"]


@admin.register(NotificationChoice)
class NotificationChoiceAdmin(ReadOnlyAdmin):
    list_display = ["user", "group", "channel", "wanted", "changed_at"]
    list_select_related = ["user"]
    list_filter = ["group", "channel", "wanted"]
    search_fields = ["user__email"]
    ordering = ["-changed_at", "id"]
    fields = list_display
