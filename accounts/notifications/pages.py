"""The pages of notifications: the list, what one chooses, and the way out of a mail."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.notifications import queries, services
from accounts.notifications.choices import choices_of, choose
from accounts.notifications.kinds import GROUPS
from accounts.notifications.sms import normalise_phone
from accounts.notifications.unsubscribing import read_link, unsubscribe
from common.errors import FairseatError
from common.pages import members_only, page, refusal_problems

ON_A_PAGE = 20


@require_safe
@members_only
def notification_list(request: HttpRequest) -> HttpResponse:
    """Everything somebody was told, newest first; with `?unread=1` only what is new."""
    unread = request.GET.get("unread") == "1" or None
    shown = Paginator(queries.list_for(request.user.pk, unread=unread), ON_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": shown,
        "notices": [queries.Shown.of(told) for told in shown],
        "unread": request.user.unread_notices,
        "only_unread": bool(unread),
        "section": "notifications",
    }
    return render(request, "notifications/list.html", context)


@require_safe
@members_only
def open_notification(request: HttpRequest, notification_id: UUID) -> HttpResponse:
    """Lead to what a notice is about; with that it is read."""
    told = services.mark_read(user_id=request.user.pk, notification_id=notification_id)
    return redirect(told.url or "notifications")


@require_POST
@members_only
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark everything as read."""
    services.mark_all_read(user_id=request.user.pk)
    return redirect("notifications")


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def preferences(request: HttpRequest) -> HttpResponse:
    """Which news reach somebody by mail and by text message."""
    context = {"section": "profile", "phone": normalise_phone(request.user.phone), "problems": None}
    status = 200
    if request.method == "POST":
        wishes = []
        for choice in choices_of(request.user):
            wish: dict[str, object] = {"group": choice.group}
            if not choice.mail_always:
                wish["mail"] = f"{choice.group}-mail" in request.POST
            if choice.sms_possible and (context["phone"] or f"{choice.group}-sms" in request.POST):
                wish["sms"] = f"{choice.group}-sms" in request.POST
            wishes.append(wish)
        try:
            choose(user=request.user, wishes=wishes)
        except FairseatError as error:
            context["problems"], status = refusal_problems(error, "Not saved"), error.status
        else:
            messages.success(request, "Saved.")
            return redirect("notification-preferences")
    context["choices"] = choices_of(request.user)
    context["texts"] = any(choice.sms_possible for choice in context["choices"])
    return render(request, "notifications/preferences.html", context, status=status)


@csrf_exempt  # a mailbox posts here by itself (RFC 8058); the signed link is what allows it
@require_http_methods(["GET", "HEAD", "POST"])
@page
def leave_group(request: HttpRequest, token: str) -> HttpResponse:
    """Switch the mails of a group off, without logging in. A look changes nothing: mailboxes look at links by themselves."""
    if request.method != "POST":
        _, group = read_link(token)
        return render(request, "notifications/unsubscribe.html", {"group": GROUPS[group], "token": token})
    again = "again" in request.POST
    _, group = unsubscribe(token=token, wanted=again)
    context = {"group": GROUPS[group], "token": token, "done": not again, "undone": again}
    return render(request, "notifications/unsubscribe.html", context)
