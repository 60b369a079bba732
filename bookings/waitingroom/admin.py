"""
The control of a sale while it runs: the line, the room and the seats as they are now, and what staff may do about them.

Every act is a service; it is kept in the audit with its reason, and in the book of the line that everybody can read.
Organisers have the same on a page of the site, for their own events (`bookings/waitingroom/control.py`).
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from bookings.waitingroom import services
from bookings.waitingroom.console import panel
from bookings.waitingroom.models import WaitingRoom
from bookings.waitingroom.services.rooms import RUNNING
from bookings.waitingroom.steering import person, set_pace
from common.admin import ReadOnlyAdmin, redirect_from_dialog
from common.errors import FairseatError

State = WaitingRoom.State
COLOURS = {
    "closed": "default",
    "lobby": "info",
    "drawing": "info",
    "open": "success",
    "paused": "warning",
    "sold_out": "danger",
    "ended": "default",
}


def broken(text: str) -> SafeString:
    """Write a long number so that it may break anywhere."""
    return format_html('<span style="overflow-wrap: anywhere">{}</span>', text)


class ReasonForm(BaseDialogForm):
    """Why staff does this; it is kept in the audit."""

    reason = forms.CharField(
        max_length=300, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), help_text="Kept with your name."
    )


class PauseForm(BaseDialogForm):
    """What everybody in line reads while it is paused."""

    reason = forms.CharField(
        max_length=300,
        label="What people in line read",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Shown to everybody in line, and kept with your name.",
    )


class MessageForm(BaseDialogForm):
    """A message to everybody in line."""

    message = forms.CharField(
        max_length=300,
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Everybody in line reads it within seconds. Empty takes the message away.",
    )

    def __init__(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        known = WaitingRoom.objects.filter(pk=object_id).values("message").first() or {}
        kwargs["initial"] = known | (kwargs.get("initial") or {})
        super().__init__(request, object_id, *args, **kwargs)


class PaceForm(ReasonForm):
    """How many people are let in."""

    max_active = forms.IntegerField(
        min_value=1,
        max_value=100_000,
        label="At the same time",
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="How many people may choose and pay at the same time. Fewer let nobody out, but fewer in.",
    )
    per_minute = forms.IntegerField(
        min_value=1,
        max_value=100_000,
        required=False,
        label="Per minute at most",
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Empty: as many as there is room for.",
    )
    field_order = ["max_active", "per_minute", "reason"]

    def __init__(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        room = WaitingRoom.objects.filter(pk=object_id).select_related("event").first()
        if room is not None:
            known = {"max_active": room.event.max_active_users, "per_minute": room.rate_per_minute}
            kwargs["initial"] = known | (kwargs.get("initial") or {})
        super().__init__(request, object_id, *args, **kwargs)


class AdmitForm(ReasonForm):
    """Whom to let in out of turn."""

    email = forms.EmailField(label="Email of their account", widget=UnfoldAdminTextInputWidget)
    field_order = ["email", "reason"]


@admin.register(WaitingRoom)
class WaitingRoomAdmin(ReadOnlyAdmin):
    organiser_path = "event__created_by"
    list_display = ["event_name", "coloured_state", "opens_at", "most", "rate_per_minute", "message"]
    list_filter = ["state", "opens_at"]
    search_fields = ["event__name", "event__location"]
    search_help_text = "Event or place"
    ordering = ["-opens_at", "pk"]
    change_form_before_template = "admin/waitingroom/onsale.html"
    actions_detail = [
        "pause",
        "resume",
        "pace",
        "message_all",
        {
            "title": "More",
            "icon": "more_horiz",
            "items": ["admit", "open_lobby", "open_line", "drain", "let_join_again", "close"],
        },
    ]
    fieldsets = [
        (None, {"fields": ["event_name", "coloured_state", "message"]}),
        ("When", {"fields": ["lobby_opens_at", "opens_at", "opened_at", "ended_at"]}),
        ("Pace", {"fields": ["most", "rate_per_minute", "slot_seconds"]}),
        ("The draw", {"fields": ["promise", "revealed", "root", "beacon", "list_size", "closed_at"]}),
        ("After a loss", {"fields": ["epoch", "journal_number"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WaitingRoom]:
        return super().get_queryset(request).select_related("event")

    # -- What they see ------------------------------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        live = path(
            "<uuid:object_id>/live/", self.admin_site.admin_view(self.live), name="waitingroom_waitingroom_live"
        )
        return [live, *super().get_urls()]

    @display(description="Sealed number (SHA-256)")
    def promise(self, room: WaitingRoom) -> SafeString:
        return broken(room.seed_hash)

    @display(description="The number, revealed")
    def revealed(self, room: WaitingRoom) -> SafeString:
        return broken(room.seed or "–")

    @display(description="Root of the list")
    def root(self, room: WaitingRoom) -> SafeString:
        return broken(room.merkle_root or "–")

    # Each deed is offered where it is possible; when it is sent the service decides, and says why not.
    def may(self, request: HttpRequest, object_id: Any, *states: str, **more: bool) -> bool:
        if not self.has_act_permission(request, object_id):
            return False
        if object_id is None or request.method == "POST":
            return True
        return WaitingRoom.objects.filter(pk=object_id, state__in=states, **more).exists()

    def has_drain_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may(request, object_id, State.OPEN, State.PAUSED, draining=False)

    def has_let_join_again_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may(request, object_id, State.OPEN, State.PAUSED, draining=True)

    def has_pause_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may(request, object_id, State.OPEN)

    def has_resume_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may(request, object_id, State.PAUSED)

    def has_open_lobby_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may(request, object_id, State.CLOSED)

    def has_open_line_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may(request, object_id, State.CLOSED, State.LOBBY)

    def has_close_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may(request, object_id, *RUNNING, State.SOLD_OUT)

    def has_steer_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.may(request, object_id, *RUNNING)

    def live(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """The figures alone, for the page's script."""
        room = get_object_or_404(self.get_queryset(request), pk=object_id)
        if not self.has_view_permission(request, room):
            raise PermissionDenied
        response = TemplateResponse(request, "admin/waitingroom/panel.html", panel(room))
        response.headers["Cache-Control"] = "private, no-store"
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        room = self.get_queryset(request).filter(pk=object_id).first()
        shown = panel(room) | {"live": reverse("admin:waitingroom_waitingroom_live", args=[room.pk])} if room else {}
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

    @display(description="Event", ordering="event__name")
    def event_name(self, room: WaitingRoom) -> str:
        return room.event.name

    @display(description="State", ordering="state", label=COLOURS)
    def coloured_state(self, room: WaitingRoom) -> str:
        return room.state

    @display(description="At the same time", ordering="event__max_active_users")
    def most(self, room: WaitingRoom) -> int:
        return room.event.max_active_users

    # -- What they do -------------------------------------------------------------------------------------------------
    def act(self, request: HttpRequest, object_id: str, do: Callable[[UUID], object], done: str) -> HttpResponse:
        """Call a service, say what came of it, and go back to the control."""
        try:
            do(UUID(object_id))
        except FairseatError as error:
            self.message_user(request, error.text, messages.ERROR)
        else:
            self.message_user(request, done, messages.SUCCESS)
        return redirect_from_dialog(request, reverse("admin:waitingroom_waitingroom_change", args=[object_id]))

    @action(
        description="Pause",
        url_path="pause",
        permissions=["pause"],
        icon="pause",
        dialog={
            "title": "Pause the line",
            "description": "Nobody is let in until you resume. Who was let in goes on buying; everybody keeps their place.",
            "form_class": PauseForm,
            "form_submit_text": "Pause",
        },
    )
    def pause(self, request: HttpRequest, form: PauseForm, object_id: str) -> HttpResponse:
        reason = form.cleaned_data["reason"]
        return self.act(
            request,
            object_id,
            lambda pk: services.pause(pk, reason=reason, actor_id=request.user.pk),
            "The line is paused, and everybody in it reads why.",
        )

    @action(
        description="Resume",
        url_path="resume",
        permissions=["resume"],
        icon="play_arrow",
        dialog={"title": "Let people in again", "form_class": ReasonForm, "form_submit_text": "Resume"},
    )
    def resume(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        reason = form.cleaned_data["reason"]
        return self.act(
            request,
            object_id,
            lambda pk: services.resume(pk, actor_id=request.user.pk, reason=reason),
            "People are let in again.",
        )

    @action(
        description="Change the pace",
        url_path="pace",
        permissions=["steer"],
        icon="speed",
        dialog={"title": "How many are let in", "form_class": PaceForm, "form_submit_text": "Change it"},
    )
    def pace(self, request: HttpRequest, form: PaceForm, object_id: str) -> HttpResponse:
        wish = form.cleaned_data
        return self.act(
            request,
            object_id,
            lambda pk: set_pace(
                pk,
                most=wish["max_active"],
                per_minute=wish["per_minute"],
                reason=wish["reason"],
                actor_id=request.user.pk,
            ),
            "The pace is changed.",
        )

    @action(
        description="Message to all",
        url_path="message",
        permissions=["steer"],
        icon="campaign",
        dialog={"title": "A message to everybody in line", "form_class": MessageForm, "form_submit_text": "Show it"},
    )
    def message_all(self, request: HttpRequest, form: MessageForm, object_id: str) -> HttpResponse:
        text = form.cleaned_data["message"]
        return self.act(
            request,
            object_id,
            lambda pk: services.set_message(pk, message=text, actor_id=request.user.pk),
            "Everybody in line reads it now." if text else "The message is gone.",
        )

    @action(
        description="Let one person in",
        url_path="admit",
        permissions=["steer"],
        icon="accessible_forward",
        dialog={
            "title": "Let one person in out of turn",
            "description": "For who can not stand in line, or for the box office. It is written, without a name, into the book "
            "that everybody in line can read.",
            "form_class": AdmitForm,
            "form_submit_text": "Let them in",
        },
    )
    def admit(self, request: HttpRequest, form: AdmitForm, object_id: str) -> HttpResponse:
        wish = form.cleaned_data
        return self.act(
            request,
            object_id,
            lambda pk: services.admit(
                pk, user_id=person(wish["email"]), actor_id=request.user.pk, reason=wish["reason"]
            ),
            "It is their turn now. They find it on the page of the line.",
        )

    @action(
        description="Open the lobby",
        url_path="open-lobby",
        permissions=["open_lobby"],
        icon="meeting_room",
        dialog={
            "title": "Open the lobby now",
            "description": "Whoever is in it when the sale opens is drawn.",
            "form_class": ReasonForm,
            "form_submit_text": "Open the lobby",
        },
    )
    def open_lobby(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        reason = form.cleaned_data["reason"]
        return self.act(
            request,
            object_id,
            lambda pk: services.open_lobby(pk, actor_id=request.user.pk, reason=reason),
            "The lobby is open.",
        )

    @action(
        description="Open the sale",
        url_path="open-line",
        permissions=["open_line"],
        icon="door_open",
        dialog={
            "title": "Open the sale now",
            "description": "The lobby is drawn and people are let in. There is no way back.",
            "form_class": ReasonForm,
            "form_submit_text": "Open the sale",
        },
    )
    def open_line(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        reason = form.cleaned_data["reason"]
        return self.act(
            request,
            object_id,
            lambda pk: services.open_line(pk, actor_id=request.user.pk, reason=reason),
            "The sale is open.",
        )

    @action(
        description="Let nobody else join",
        url_path="drain",
        permissions=["drain"],
        icon="logout",
        dialog={
            "title": "Let nobody else join",
            "description": "Nobody new lines up. Who stands in line is let in as before, and the line ends when it is empty.",
            "form_class": ReasonForm,
            "form_submit_text": "Let nobody else join",
        },
    )
    def drain(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        reason = form.cleaned_data["reason"]
        return self.act(
            request,
            object_id,
            lambda pk: services.drain(pk, actor_id=request.user.pk, reason=reason),
            "Nobody else can join; who stands in line is let in.",
        )

    @action(
        description="Let people join again",
        url_path="let-join-again",
        permissions=["let_join_again"],
        icon="login",
        dialog={"title": "Let people join again", "form_class": ReasonForm, "form_submit_text": "Let them join"},
    )
    def let_join_again(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        reason = form.cleaned_data["reason"]
        return self.act(
            request,
            object_id,
            lambda pk: services.let_join_again(pk, actor_id=request.user.pk, reason=reason),
            "People can join the line again.",
        )

    @action(
        description="Close the line",
        url_path="close",
        permissions=["close"],
        icon="block",
        dialog={
            "title": "Close the line for good",
            "description": "Nobody joins and nobody is let in any more. Who was let in goes on buying. There is no way back.",
            "form_class": ReasonForm,
            "form_submit_text": "Close the line",
        },
    )
    def close(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        reason = form.cleaned_data["reason"]
        return self.act(
            request,
            object_id,
            lambda pk: services.close(pk, actor_id=request.user.pk, reason=reason),
            "The line is closed.",
        )
