"""The control of a sale for its organiser: what the admin shows staff, for their own events alone."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.permissions import may
from bookings.waitingroom import services
from bookings.waitingroom.console import panel
from bookings.waitingroom.models import WaitingRoom
from bookings.waitingroom.refusals import NoLine
from bookings.waitingroom.steering import person, set_pace
from common.errors import FairseatError, Invalid, NotFound
from common.pages import form_problems, members_only

Wish = dict[str, Any]
State = WaitingRoom.State


class DeedForm(forms.Form):
    """One deed of an organiser; which fields it needs depends on it."""

    deed = forms.CharField()
    reason = forms.CharField(max_length=300, required=False)
    message = forms.CharField(max_length=300, required=False)
    max_active = forms.IntegerField(min_value=1, max_value=100_000, required=False)
    per_minute = forms.IntegerField(min_value=1, max_value=100_000, required=False)
    email = forms.EmailField(required=False)

    def clean(self) -> Wish:
        wish = super().clean() or self.cleaned_data
        if wish.get("deed") not in DEEDS:
            raise forms.ValidationError("Choose what to do.")
        if wish["deed"] != "message" and not (wish.get("reason") or "").strip():
            self.add_error("reason", "Write a reason: it is kept with your name.")
        return wish


def pace(room: WaitingRoom, actor_id: UUID, wish: Wish) -> None:
    most = wish["max_active"] or room.event.max_active_users
    set_pace(room.pk, most=most, per_minute=wish["per_minute"], reason=wish["reason"], actor_id=actor_id)


def admit(room: WaitingRoom, actor_id: UUID, wish: Wish) -> None:
    if not wish["email"]:
        raise Invalid("Write the email of their account.")
    services.admit(room.pk, user_id=person(wish["email"]), actor_id=actor_id, reason=wish["reason"])


# name: (what is done, what is said afterwards)
DEEDS: dict[str, tuple[Callable[[WaitingRoom, UUID, Wish], object], str]] = {
    "pause": (
        lambda room, actor_id, wish: services.pause(room.pk, reason=wish["reason"], actor_id=actor_id),
        "The line is paused, and everybody in it reads why.",
    ),
    "resume": (
        lambda room, actor_id, wish: services.resume(room.pk, actor_id=actor_id, reason=wish["reason"]),
        "People are let in again.",
    ),
    "pace": (pace, "The pace is changed."),
    "message": (
        lambda room, actor_id, wish: services.set_message(room.pk, message=wish["message"], actor_id=actor_id),
        "Done: everybody in line reads it, or no longer does.",
    ),
    "admit": (admit, "It is their turn now. They find it on the page of the line."),
    "open_lobby": (
        lambda room, actor_id, wish: services.open_lobby(room.pk, actor_id=actor_id, reason=wish["reason"]),
        "The lobby is open.",
    ),
    "open_line": (
        lambda room, actor_id, wish: services.open_line(room.pk, actor_id=actor_id, reason=wish["reason"]),
        "The sale is open.",
    ),
    "drain": (
        lambda room, actor_id, wish: services.drain(room.pk, actor_id=actor_id, reason=wish["reason"]),
        "Nobody else can join; who stands in line is let in.",
    ),
    "let_join_again": (
        lambda room, actor_id, wish: services.let_join_again(room.pk, actor_id=actor_id, reason=wish["reason"]),
        "People can join the line again.",
    ),
    "close": (
        lambda room, actor_id, wish: services.close(room.pk, actor_id=actor_id, reason=wish["reason"]),
        "The line is closed.",
    ),
}


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def control(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """A sale while it runs, and what its organiser may do about it."""
    room = own_room(request, event_id)
    context: dict[str, Any] = {"status": 200}
    if request.method == "POST":
        form = DeedForm(request.POST)
        if form.is_valid():
            do, done = DEEDS[form.cleaned_data["deed"]]
            try:
                do(room, request.user.pk, form.cleaned_data)
            except FairseatError as error:
                messages.error(request, error.text)
            else:
                messages.success(request, done)
            return redirect("line-control", event_id)
        context = {"problems": form_problems(form), "status": 400, "sent": request.POST}
    context |= panel(room) | {
        "event": room.event,
        "room": room,
        "begins": room.state in {State.CLOSED, State.LOBBY},
        "runs": room.state not in {State.ENDED, State.SOLD_OUT},
    }
    return render(request, "waitingroom/control.html", context, status=context["status"])


@require_safe
@members_only
def live(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """The figures alone, for the page's script."""
    return render(request, "waitingroom/figures.html", panel(own_room(request, event_id)))


def own_room(request: HttpRequest, event_id: UUID) -> WaitingRoom:
    """
    Load the line of an event of this organiser's own, or of any for staff who may see it, or change it.

    :raises NotFound: if it is somebody else's, or there is none
    """
    try:
        room = services.ensure_room(event_id)
    except NoLine:
        raise NotFound from None
    needed = "waitingroom.view_waitingroom" if request.method in {"GET", "HEAD"} else "waitingroom.change_waitingroom"
    if room.event.created_by_id != request.user.pk and not may(request.user, needed):
        raise NotFound
    return room
