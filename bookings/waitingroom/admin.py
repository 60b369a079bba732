"""
The control of a sale while it runs: the line, the room and the seats as they are now, and what staff may do about them.

Every act is a service; it is kept in the audit with its reason, and in the book of the line that everybody can read.
Organisers have the same on a page of the site, for their own events (`bookings/waitingroom/control.py`).
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from bookings.waitingroom import services
from bookings.waitingroom.console import panel
from bookings.waitingroom.models import WaitingRoom
from bookings.waitingroom.services.rooms import RUNNING
from bookings.waitingroom.steering import person, set_pace
from common.admin_actions import ReasonForm, ServiceAdmin, dialog_action, reason_field

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


class LineForm(ReasonForm):
    """Why staff does this, as short as the book of the line wants it."""

    reason = reason_field(most=300, rows=2)


class PauseForm(ReasonForm):
    """What everybody in line reads while it is paused."""

    reason = reason_field(
        most=300,
        rows=2,
        label="What people in line read",
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


class PaceForm(LineForm):
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


class AdmitForm(LineForm):
    """Whom to let in out of turn."""

    email = forms.EmailField(label="Email of their account", widget=UnfoldAdminTextInputWidget)
    field_order = ["email", "reason"]


@admin.register(WaitingRoom)
class WaitingRoomAdmin(ServiceAdmin):
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
    def act(
        self, request: HttpRequest, object_id: str, done: str, service: Callable[..., object], **wish: Any
    ) -> HttpResponse:
        """Call a service as this member of staff, say what came of it, and go back to the control."""
        self.attempt(request, done, service, UUID(object_id), actor_id=request.user.pk, **wish)
        return self.back_to(request, object_id)

    @dialog_action(
        "Pause",
        path="pause",
        permissions=["pause"],
        icon="pause",
        title="Pause the line",
        about="Nobody is let in until you resume. Who was let in goes on buying; everybody keeps their place.",
        submit="Pause",
        form=PauseForm,
    )
    def pause(self, request: HttpRequest, form: PauseForm, object_id: str) -> HttpResponse:
        return self.act(
            request,
            object_id,
            "The line is paused, and everybody in it reads why.",
            services.pause,
            reason=form.cleaned_data["reason"],
        )

    @dialog_action(
        "Resume",
        path="resume",
        permissions=["resume"],
        icon="play_arrow",
        title="Let people in again",
        submit="Resume",
        form=LineForm,
    )
    def resume(self, request: HttpRequest, form: LineForm, object_id: str) -> HttpResponse:
        return self.act(
            request, object_id, "People are let in again.", services.resume, reason=form.cleaned_data["reason"]
        )

    @dialog_action(
        "Change the pace",
        path="pace",
        permissions=["steer"],
        icon="speed",
        title="How many are let in",
        submit="Change it",
        form=PaceForm,
    )
    def pace(self, request: HttpRequest, form: PaceForm, object_id: str) -> HttpResponse:
        wish = form.cleaned_data
        return self.act(
            request,
            object_id,
            "The pace is changed.",
            set_pace,
            most=wish["max_active"],
            per_minute=wish["per_minute"],
            reason=wish["reason"],
        )

    @dialog_action(
        "Message to all",
        path="message",
        permissions=["steer"],
        icon="campaign",
        title="A message to everybody in line",
        submit="Show it",
        form=MessageForm,
    )
    def message_all(self, request: HttpRequest, form: MessageForm, object_id: str) -> HttpResponse:
        text = form.cleaned_data["message"]
        return self.act(
            request,
            object_id,
            "Everybody in line reads it now." if text else "The message is gone.",
            services.set_message,
            message=text,
        )

    @dialog_action(
        "Let one person in",
        path="admit",
        permissions=["steer"],
        icon="accessible_forward",
        title="Let one person in out of turn",
        about="For who can not stand in line, or for the box office. It is written, without a name, into the book "
        "that everybody in line can read.",
        submit="Let them in",
        form=AdmitForm,
    )
    def admit(self, request: HttpRequest, form: AdmitForm, object_id: str) -> HttpResponse:
        wish = form.cleaned_data
        return self.act(
            request,
            object_id,
            "It is their turn now. They find it on the page of the line.",
            lambda pk, **why: services.admit(pk, user_id=person(wish["email"]), **why),
            reason=wish["reason"],
        )

    @dialog_action(
        "Open the lobby",
        path="open-lobby",
        permissions=["open_lobby"],
        icon="meeting_room",
        title="Open the lobby now",
        about="Whoever is in it when the sale opens is drawn.",
        submit="Open the lobby",
        form=LineForm,
    )
    def open_lobby(self, request: HttpRequest, form: LineForm, object_id: str) -> HttpResponse:
        return self.act(
            request, object_id, "The lobby is open.", services.open_lobby, reason=form.cleaned_data["reason"]
        )

    @dialog_action(
        "Open the sale",
        path="open-line",
        permissions=["open_line"],
        icon="door_open",
        title="Open the sale now",
        about="The lobby is drawn and people are let in. There is no way back.",
        submit="Open the sale",
        form=LineForm,
    )
    def open_line(self, request: HttpRequest, form: LineForm, object_id: str) -> HttpResponse:
        return self.act(request, object_id, "The sale is open.", services.open_line, reason=form.cleaned_data["reason"])

    @dialog_action(
        "Let nobody else join",
        path="drain",
        permissions=["drain"],
        icon="logout",
        title="Let nobody else join",
        about="Nobody new lines up. Who stands in line is let in as before, and the line ends when it is empty.",
        submit="Let nobody else join",
        form=LineForm,
    )
    def drain(self, request: HttpRequest, form: LineForm, object_id: str) -> HttpResponse:
        return self.act(
            request,
            object_id,
            "Nobody else can join; who stands in line is let in.",
            services.drain,
            reason=form.cleaned_data["reason"],
        )

    @dialog_action(
        "Let people join again",
        path="let-join-again",
        permissions=["let_join_again"],
        icon="login",
        title="Let people join again",
        submit="Let them join",
        form=LineForm,
    )
    def let_join_again(self, request: HttpRequest, form: LineForm, object_id: str) -> HttpResponse:
        return self.act(
            request,
            object_id,
            "People can join the line again.",
            services.let_join_again,
            reason=form.cleaned_data["reason"],
        )

    @dialog_action(
        "Close the line",
        path="close",
        permissions=["close"],
        icon="block",
        title="Close the line for good",
        about="Nobody joins and nobody is let in any more. Who was let in goes on buying. There is no way back.",
        submit="Close the line",
        form=LineForm,
    )
    def close(self, request: HttpRequest, form: LineForm, object_id: str) -> HttpResponse:
        return self.act(request, object_id, "The line is closed.", services.close, reason=form.cleaned_data["reason"])
