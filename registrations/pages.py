"""The way to a ticket of an event that checks faces, as pages: each shows what `next_step` says, and leads on from there."""

import json
from email.utils import parseaddr
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import limits
from bookings.models import TicketHandover
from bookings.refusals import EventCancelled, HasTicket, InvitationNotFound, InvitationOver, SaleClosed, WrongAddressee
from bookings.services import decline_invitation as decline
from bookings.services.handovers import holds_ticket
from common.errors import FairseatError, NotFound
from common.pages import Problem, Problems, form_problems, members_only, page, to_login
from events.models import Event
from events.queries import get_event
from faceverify import services as faces
from faceverify.forms import SelfieForm
from faceverify.pages import SEEN, answer, enrol, moved, photo_context, photos_form, read_again
from faceverify.pose_challenge import FEWEST, MOST
from faceverify.queries import transparency
from faceverify.refusals import AGAIN, ConsentOutdated, ConsentRequired, ProfilePhotoMissing
from registrations import queries, services
from registrations.export import ENCODER, export_person
from registrations.models import Registration, VerificationAttempt
from registrations.queries import Journey
from registrations.refusals import (
    AlreadyRegistered,
    AlreadyVerified,
    AttemptsExceeded,
    FaceCheckNotNeeded,
    LivenessNotAsked,
    RegistrationClosed,
    TicketAlreadyIssued,
)
from registrations.services.invitations import Accepted

PER_PAGE = 20
FACE_STEPS = {"UPLOAD_PHOTO", "VERIFY_FACE", "RETRY_VERIFICATION"}
TROUBLE = {  # why a try was given back, where it is not about the picture
    "engine_unavailable": "The face check did not answer.",
    "engine_misconfigured": "The face check did not answer.",
    "check_interrupted": "The face check was interrupted.",
    "image_not_found": "Your photo had waited too long.",
    "profile_photo_missing": "Your profile photo was deleted meanwhile.",
}


TURNED = {  # what people read when the head turn was not as asked
    "wrong_turns": "We didn’t see your head turn far enough, in the order asked for. Follow the dot with your nose.",
    "not_frontal_first": "Begin with your face straight to the camera.",
    "jump": "That was too fast. Turn slowly, with the dot.",
    "frame_count": "Some of the pictures did not arrive.",
    "another_face": "We saw more than one person. Make sure that you are alone in front of the camera.",
    "face_none": "We lost sight of your face. Turn it a little less far, and stay inside the oval.",
}
ON_THE_WAY = (
    AlreadyVerified,
    AttemptsExceeded,
    ConsentRequired,
    FaceCheckNotNeeded,
    LivenessNotAsked,
    ProfilePhotoMissing,
    RegistrationClosed,
    TicketAlreadyIssued,
)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def register(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Begin the journey for an event, or go on with it; who is not logged in does that first."""
    back = reverse("event", args=[event_id]) + "#tickets"
    if not request.user.is_authenticated:
        return to_login(request, back)
    if request.method != "POST":
        return redirect(back)
    limits.check(request, scope="booking")
    event = get_event(event_id=event_id, viewer_id=request.user.pk)
    if not event.requires_face_verification:
        return redirect(back)
    try:
        registration = services.create_registration(user_id=request.user.pk, event_id=event.pk)
    except AlreadyRegistered as error:
        return redirect("registration", error.extra["registration_id"])
    except NotFound:
        raise
    except FairseatError as error:
        messages.warning(request, error.text)
        return redirect(back)
    return redirect("registration", registration.pk)


@require_safe
@members_only
def registration_list(request: HttpRequest) -> HttpResponse:
    """Every face check of the person, newest first."""
    pages = Paginator(queries.list_registrations_for(user_id=request.user.pk), PER_PAGE)
    shown = pages.get_page(request.GET.get("page"))
    journeys = queries.journeys_of(list(shown.object_list))
    return render(request, "registrations/list.html", {"journeys": journeys, "pages": shown, "section": "profile"})


@require_safe
@members_only
def registration(request: HttpRequest, registration_id: UUID) -> HttpResponse:
    """Where a journey stands and what comes next; a step before the camera has its own page."""
    journey = own_journey(request, registration_id)
    if is_being_checked(journey):
        return redirect("registration-checking", journey.registration.pk)
    if journey.next_step in FACE_STEPS:
        return redirect("registration-face", journey.registration.pk)
    return render(request, "registrations/registration.html", journey_context(journey))


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def profile_photo(request: HttpRequest, registration_id: UUID) -> HttpResponse:
    """The first half of the face step: consent and a profile photo."""
    journey = own_journey(request, registration_id)
    if journey.has_reference or not may_be_checked(journey):
        return moved(request, onward(journey))
    if request.method != "POST":
        return render(request, "registrations/photo.html", photo_context(request) | journey_context(journey))
    form = photos_form(request)
    try:
        problems = enrol(request, form)
    except ConsentOutdated as error:
        return read_again(request, error)
    if problems:
        context = photo_context(request, form) | journey_context(journey)
        return answer(request, "registrations/photo.html", context, problems)
    messages.success(request, "Your profile photo is saved. Now one more photo, and we compare the two.")
    return moved(request, reverse("registration-face", args=[registration_id]))


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def face(request: HttpRequest, registration_id: UUID) -> HttpResponse:
    """The second half: one photo, which a worker compares with the profile photo."""
    journey = own_journey(request, registration_id)
    if is_being_checked(journey) or not may_be_checked(journey) or not journey.attempts_left:
        return moved(request, onward(journey))
    if not journey.has_reference:
        return moved(request, reverse("registration-photo", args=[registration_id]))
    if journey.registration.event.liveness == Event.Liveness.REQUIRED:
        if request.method == "POST":  # one picture, from a page that was open when the organiser asked for more
            return moved(request, request.path)
        return render(request, "registrations/turns.html", face_context(journey, SelfieForm()))
    if request.method != "POST":
        return render(request, "registrations/face.html", face_context(journey, SelfieForm()))
    form = SelfieForm(request.POST, request.FILES)
    try:
        problems = send_selfie(request, journey.registration, form)
    except (AlreadyVerified, AttemptsExceeded, FaceCheckNotNeeded, RegistrationClosed, TicketAlreadyIssued):
        return moved(request, reverse("registration", args=[registration_id]))
    except (ConsentRequired, ProfilePhotoMissing):
        return moved(request, reverse("registration-photo", args=[registration_id]))
    if problems:
        return answer(request, "registrations/face.html", face_context(journey, form), problems)
    return moved(request, reverse("registration-checking", args=[registration_id]))


@require_POST
@members_only
def begin_head_turns(request: HttpRequest, registration_id: UUID) -> HttpResponse:
    """Tell the camera's script in which order the head is to be turned; the server has just chosen it."""
    limits.check(request, scope="face")
    journey = own_journey(request, registration_id)
    try:
        check = services.start_liveness(registration=journey.registration)
    except NotFound:
        raise
    except FairseatError as error:
        return turns_refused(request, journey, error)
    answer_to = reverse("registration-turned", args=[registration_id, check.pk])
    return JsonResponse({"turns": check.turns.split(","), "answer": answer_to, "frames": [FEWEST, MOST]})


@require_POST
@members_only
def end_head_turns(request: HttpRequest, registration_id: UUID, check_id: UUID) -> HttpResponse:
    """Judge the frames of a head turn; if it is one, have its most frontal frame compared."""
    limits.check(request, scope="face")
    journey = own_journey(request, registration_id)
    frames = [frame.read() for frame in request.FILES.getlist("frames")[: MOST + 1]]
    try:
        check = faces.finish_pose_challenge(user_id=request.user.pk, check_id=check_id, frames=frames)
        if not check.passed:
            problems = Problems("That did not work yet", [Problem(f"{turned(check.reason)} {AGAIN}")])
            return answer(request, "registrations/turns.html", face_context(journey, SelfieForm()), problems)
        services.verify_face(registration=journey.registration, image_key=str(check.image_id))
    except NotFound:
        problems = Problems("Time was up", [Problem(f"Please begin again. {AGAIN}")])
        return answer(request, "registrations/turns.html", face_context(journey, SelfieForm()), problems)
    except FairseatError as error:
        return turns_refused(request, journey, error)
    return moved(request, reverse("registration-checking", args=[registration_id]))


@require_safe
@members_only
def checking(request: HttpRequest, registration_id: UUID) -> HttpResponse:
    """The moment in which the worker compares; it looks again by itself, and moves on when there is news."""
    journey = own_journey(request, registration_id)
    if is_being_checked(journey):
        return render(request, "registrations/checking.html", journey_context(journey))
    if journey.given is not None:
        say_once(request, "It’s you. The ticket is yours.")
        return redirect("ticket", journey.given.code)
    if journey.next_step in {"PAY", "TICKET_ISSUED"} and journey.booking is not None:
        say_once(request, "It’s you. Your face check is done.")
        done = "booking-done" if journey.ticket_issued else "booking-tickets"
        return redirect(done, journey.booking.pk)
    return redirect("registration", registration_id)


@require_POST
@members_only
def ask_a_person(request: HttpRequest, registration_id: UUID) -> HttpResponse:
    """The way of equal rank: staff check an ID."""
    limits.check(request, scope="booking")
    journey = own_journey(request, registration_id)
    try:
        services.ask_a_person(registration=journey.registration)
    except (AlreadyVerified, FaceCheckNotNeeded, RegistrationClosed):
        return redirect("registration", registration_id)
    except NotFound:
        raise
    except FairseatError as error:
        messages.warning(request, error.text)
    return redirect("registration", registration_id)


@require_safe
@members_only
def my_data(request: HttpRequest) -> HttpResponse:
    """Everything we hold about the person, as a file."""
    limits.check(request, scope="booking")
    held = json.dumps(export_person(user_id=request.user.pk), cls=ENCODER, indent=2, ensure_ascii=False)
    headers = {"Content-Disposition": 'attachment; filename="my-fairseat-data.json"'}
    return HttpResponse(held, content_type="application/json; charset=utf-8", headers=headers)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind the link of an invitation to a ticket; accepting leads to the ticket, or to the face check before it."""
    try:
        handover = queries.get_invitation_with_all(token)
        if request.method == "POST" and request.user.is_authenticated:
            limits.check(request, scope="booking")
            return accepted(request, services.accept_invitation(token=token, user_id=request.user.pk))
    except (InvitationNotFound, InvitationOver) as error:
        return over(request, "This invitation is over", error.text, 410)
    except (HasTicket, WrongAddressee):
        pass  # the page says so
    except (EventCancelled, SaleClosed) as error:
        return over(request, "Too late", error.text, error.status)
    if request.method == "POST" and not request.user.is_authenticated:
        return to_login(request, request.path)
    if handover.invitee_id is not None and handover.invitee_id == request.user.pk:
        known = queries.find_registration(user_id=request.user.pk, event_id=handover.ticket.event_id)
        if known is not None:
            return redirect("registration", known.pk)
    return render(request, "invitations/invitation.html", invitation_context(request, token, handover))


@require_POST
@page
def decline_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """No, thank you."""
    limits.check(request)
    try:
        decline(token=token)
    except (InvitationNotFound, InvitationOver) as error:
        return over(request, "This invitation is over", error.text, 410)
    words = "The ticket stays with the person who invited you. We have forgotten your address."
    return over(request, "Thank you for telling us", words, 200)


def over(request: HttpRequest, title: str, message: str, status: int) -> HttpResponse:
    """Return the page for an invitation that leads nowhere any more."""
    return render(request, "invitations/over.html", {"title": title, "message": message}, status=status)


def accepted(request: HttpRequest, done: Accepted) -> HttpResponse:
    """Lead on from an accepted invitation."""
    if done.ticket is not None:
        messages.success(request, "The ticket is yours. We are mailing it to you, too.")
        return redirect("ticket", done.ticket.code)
    return redirect("registration", done.registration.pk) if done.registration else redirect("tickets")


def invitation_context(request: HttpRequest, token: str, handover: TicketHandover) -> dict[str, Any]:
    """Return what the page of an invitation shows; of the booking nothing but the kind of ticket and the seat."""
    person = request.user
    known = person.is_authenticated
    mine = {"user_id": person.pk, "event_id": handover.ticket.event_id}
    found = queries.find_registration(**mine) if known and handover.ticket.personal else None
    return {
        "token": token,
        "handover": handover,
        "event": handover.ticket.event,
        "giver": handover.named_by.display_name,
        "wrong_account": known and person.email != handover.email,
        "has_ticket": known and handover.ticket.personal and holds_ticket(**mine),
        "verified": found is not None and found.status == Registration.Status.VERIFIED,
    }


# -- Pieces -----------------------------------------------------------------------------------------------------------


def own_journey(request: HttpRequest, registration_id: UUID) -> Journey:
    """Load the person's own registration with what decides its next step; other people's are not there."""
    found = queries.get_own_registration(user_id=request.user.pk, registration_id=registration_id)
    return queries.journey_of(found)


def say_once(request: HttpRequest, words: str) -> None:
    """Leave a message for the next page, unless it waits there already: the page that looks again asks before it moves on."""
    waiting = messages.get_messages(request)
    if words not in [str(message) for message in waiting]:
        messages.success(request, words)
    waiting.used = False


def is_being_checked(journey: Journey) -> bool:
    """Whether a worker compares a picture right now."""
    status = journey.registration.face_verification_status
    return status == Registration.FaceStatus.PROCESSING and journey.next_step in FACE_STEPS | {"WAIT_FOR_REVIEW"}


def may_be_checked(journey: Journey) -> bool:
    """Whether a picture of the face could still lead on, also for somebody who asked a person meanwhile."""
    return journey.next_step in FACE_STEPS | {"WAIT_FOR_REVIEW"}


def onward(journey: Journey) -> str:
    """Return the page for where a journey stands."""
    return reverse("registration", args=[journey.registration.pk])


def send_selfie(request: HttpRequest, registration: Registration, form: SelfieForm) -> Problems | None:
    """
    Store the picture of a form and have it compared; return what is wrong with it, None when it is under way.

    :raises FairseatError: what `verify_face` refuses for another reason than the picture
    """
    limits.check(request, scope="face")
    if not form.is_valid():
        return form_problems(form)
    try:
        image = faces.store_probe(user_id=registration.user_id, content=form.cleaned_data["photo"])
    except (ConsentRequired, ProfilePhotoMissing):
        raise
    except FairseatError as error:
        return returned(error.code, error.text)
    try:
        services.verify_face(registration=registration, image_key=str(image.pk))
    except FairseatError as error:
        faces.discard_image(image_id=image.pk, why="unused")
        if error.code in {"same_photo", "image_not_found"}:
            return returned(error.code, error.text)
        raise
    return None


def turns_refused(request: HttpRequest, journey: Journey, error: FairseatError) -> HttpResponse:
    """Say why a head turn leads nowhere now, or lead to where the journey stands."""
    if isinstance(error, ON_THE_WAY):
        return moved(request, onward(journey))
    return answer(
        request, "registrations/turns.html", face_context(journey, SelfieForm()), returned(error.code, error.text)
    )


def turned(reason: str) -> str:
    """Return in words what was wrong with a head turn."""
    return TURNED.get(reason) or SEEN.get(reason) or "We could not follow your head."


def journey_context(journey: Journey) -> dict[str, Any]:
    """Return what every page of the journey shows."""
    return {
        "journey": journey,
        "registration": journey.registration,
        "event": journey.registration.event,
        "hold": journey.booking if journey.next_step == "PAY" else None,
        "most": most_tries(),
        "contact": parseaddr(settings.DEFAULT_FROM_EMAIL)[1],
        "now": timezone.now(),
        "section": "",
    }


def face_context(journey: Journey, form: SelfieForm) -> dict[str, Any]:
    """Return what the page with the camera shows: which try it is, and what became of the last one."""
    used = journey.registration.verification_attempts
    tries = ["used" if number <= used else "now" if number == used + 1 else "" for number in range(1, most_tries() + 1)]
    return journey_context(journey) | {
        "form": form,
        "facts": transparency(),
        "megabytes": settings.FACE_MAX_BYTES // 1_048_576,
        "number": used + 1,
        "tries": tries,
        "problems": last_problems(journey),
        "renew": last_code(journey) == "profile_photo_outdated",
    }


def most_tries() -> int:
    """Return how many tries there are."""
    return int(settings.MAX_VERIFICATION_ATTEMPTS)


def last_attempt(journey: Journey) -> VerificationAttempt | None:
    """Return the newest decided try since staff last allowed new ones."""
    attempts = journey.registration.attempts.filter(epoch=journey.registration.attempts_epoch)
    return attempts.exclude(status=VerificationAttempt.Status.RESERVED).order_by("reserved_at", "id").last()


def last_code(journey: Journey) -> str:
    """Return why the newest try was given back, "" if it was not."""
    attempt = last_attempt(journey)
    return attempt.failure_code if attempt is not None else ""


def last_problems(journey: Journey) -> Problems | None:
    """Return in words what became of the newest try."""
    attempt = last_attempt(journey)
    if attempt is None:
        return None
    used, most = journey.registration.verification_attempts, most_tries()
    if attempt.status == VerificationAttempt.Status.MISMATCH:
        words = f"This photo doesn’t match well enough (try {used} of {most}). Take off hats or glasses, face a window."
        return Problems("Not a match yet", [Problem(words)])
    return returned(attempt.failure_code)


def returned(code: str, text: str = "") -> Problems:
    """Say why a picture used up no try: what we saw in it, or what went wrong on our side."""
    if code in TROUBLE:
        return Problems("We could not compare", [Problem(f"{TROUBLE[code]} {AGAIN} Please try again.")])
    words = SEEN.get(code) or text.removesuffix(AGAIN).strip() or "This picture will not do. Take another one."
    return Problems("Please take another photo", [Problem(f"{words} {AGAIN}")])
