"""Passkeys as pages: the script asks for a challenge, the browser answers it, and the answer is sent like any form."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts import limits, relying_party, second_factor
from accounts.mfa_pages import STAFF_AREA, ProveForm, added, manage, proving, recently, removed, staff_member
from accounts.models import PasskeyChallenge, User
from accounts.pages import BACKEND
from accounts.services import passkeys
from common.errors import FairseatError, NotFound
from common.pages import Problems, members_only, next_path, page, refusal_problems

SESSION = "passkey_challenges"  # the id of the last challenge of each purpose
Purpose = PasskeyChallenge.Purpose


@require_POST
def challenge(request: HttpRequest) -> HttpResponse:
    """Return what the browser shall ask a device for, as JSON, and note the challenge in this session."""
    try:
        limits.check(request)
        asked = asked_for(request)
    except FairseatError as error:
        return JsonResponse({"code": error.code, "message": error.text}, status=error.status)
    return JsonResponse(asked.options, headers={"Cache-Control": "private, no-store"})


def asked_for(request: HttpRequest) -> passkeys.Challenge:
    """
    Make the challenge that a page asks for.

    :raises NotFound: if there are no passkeys here for this person
    """
    if settings.STAFF_MFA == "off":
        raise NotFound
    purpose = request.POST.get("purpose", "")
    if purpose == Purpose.SIGN_IN:
        made = passkeys.begin_signing_in()
    elif purpose == Purpose.PROVE:
        made = passkeys.begin_proving(user_id=staff_member(request).pk)
    elif purpose == Purpose.ADD:
        user = staff_member(request)
        made = passkeys.begin_adding(user_id=user.pk, proven_at=second_factor.known_in(request, user))
    else:
        raise NotFound
    request.session[SESSION] = {**request.session.get(SESSION, {}), purpose: str(made.id)}
    return made


def answered(request: HttpRequest, purpose: Purpose) -> dict[str, Any]:
    """Return which challenge of this session was answered, and the answer; the session forgets the challenge."""
    noted = dict(request.session.get(SESSION, {}))
    asked = noted.pop(purpose, None)
    request.session[SESSION] = noted
    return {"challenge_id": UUID(asked) if asked else None, "answer": request.POST.get("answer", "")}


@require_POST
@members_only
@recently
def add(request: HttpRequest, user: User, known_at: float) -> HttpResponse:
    """Keep the passkey that a device has just made."""
    limits.check(request)
    name = request.POST.get("name", "")
    try:
        codes = passkeys.add_passkey(
            user_id=user.pk, name=name.replace("\0", ""), proven_at=known_at, **answered(request, Purpose.ADD)
        )
    except FairseatError as error:
        return manage(request, user, refusal_problems(error), error.status, name)
    second_factor.remember(request, timezone.now())
    return added(request, codes, "Your passkey is added.")


@require_POST
@members_only
def prove(request: HttpRequest) -> HttpResponse:
    """A passkey after the password."""
    user = staff_member(request)
    limits.check(request)
    try:
        at = passkeys.prove_with_passkey(user_id=user.pk, **answered(request, Purpose.PROVE))
    except FairseatError as error:
        form = ProveForm(app=second_factor.has_app(user.pk))
        return proving(request, user, form, error.status, refusal_problems(error))
    second_factor.remember(request, at)
    return redirect(next_path(request, STAFF_AREA))


@require_http_methods(["GET", "HEAD", "POST"])
@page
def sign_in(request: HttpRequest) -> HttpResponse:
    """A passkey instead of password and code."""
    if settings.STAFF_MFA == "off" or not relying_party.are_possible():
        raise NotFound
    onward = next_path(request, STAFF_AREA)
    if request.method != "POST":
        return signing_in(request, onward)
    limits.check(request)
    try:
        user = passkeys.sign_in_with_passkey(address=request.META["REMOTE_ADDR"], **answered(request, Purpose.SIGN_IN))
    except FairseatError as error:
        return signing_in(request, onward, refusal_problems(error), error.status)
    login(request, user, backend=BACKEND)
    second_factor.remember(request, timezone.now())
    return redirect(onward)


def signing_in(request: HttpRequest, onward: str, problems: Problems | None = None, status: int = 200) -> HttpResponse:
    """The page that asks for a passkey alone."""
    context = {"next": onward, "origin": settings.SITE_URL, "problems": problems, "section": "login"}
    return render(request, "accounts/passkey_sign_in.html", context, status=status)


@require_POST
@members_only
@recently
def remove(request: HttpRequest, user: User, known_at: float) -> HttpResponse:
    """Remove one of one's own passkeys."""
    limits.check(request)
    try:
        chosen = UUID(request.POST.get("passkey", ""))
    except ValueError:
        raise NotFound from None
    try:
        person = passkeys.remove_passkey(user_id=user.pk, passkey_id=chosen, proven_at=known_at)
    except FairseatError as error:
        return manage(request, user, refusal_problems(error), error.status)
    return removed(request, person)
