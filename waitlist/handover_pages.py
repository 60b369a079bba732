"""The one click that puts somebody from a line that sold out on the waitlist, at the place they had."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts import limits
from common.errors import FairseatError
from common.pages import members_only
from events.queries import get_event
from waitlist import handover


@require_POST
@members_only
def claim(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Put the person on the waitlist where they stood in line."""
    limits.check(request, scope="booking")
    get_event(event_id=event_id, viewer_id=request.user.pk)
    asked = request.POST.get("quantity", "1")
    quantity = int(asked) if asked.isdecimal() and len(asked) < 4 else 1
    try:
        entry = handover.claim(user_id=request.user.pk, event_id=event_id, quantity=quantity)
    except handover.NothingToClaim as error:
        messages.info(request, error.text)
        return redirect(reverse("event", args=[event_id]) + "#tickets")
    except FairseatError as error:
        if error.status in {404, 503}:
            raise
        messages.warning(request, error.text)
        return redirect("line", event_id)
    messages.success(request, "You’re on the waitlist, at the place you had in line.")
    return redirect("waitlist-entry", entry.pk)
