"""The gate as a page for a phone or a till with a scanner; every answer also without JavaScript."""

import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from rest_framework.exceptions import ValidationError

from accounts import limits
from common.errors import FairseatError, Invalid
from common.pages import members_only, page
from events.models import Event
from faceverify.refusals import EngineMisconfigured, EngineTrouble
from gate import offline, queries, services
from gate.answers import await_check
from gate.api.serializers import ScanIn, SyncIn, render_counters, render_scan, render_ticket
from gate.lists import build_list, public_key
from gate.models import FaceCheck, Scan
from gate.queries import SCAN, SUPERVISE
from gate.refusals import CheckNotFound, ScanNotFound

LONGEST_PHOTO = 20 * 1024 * 1024
LOOK_AGAIN_SECONDS = 2
PICTURE_IS_NO_USE = "That picture can not be compared. Take another one, check an ID, or call a supervisor."
SERVICE_IS_AWAY = "The face service does not answer. Check an ID, or call a supervisor."


@require_safe
@members_only
def gates(request: HttpRequest) -> HttpResponse:
    """The events at whose gates this person may stand."""
    events = queries.list_gates(viewer=request.user)
    if not events:
        queries.refuse_strangers(request.user)
    return render(request, "gate/gates.html", {"events": events, "section": "gate"})


@require_safe
@members_only
def gate(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """One gate: the field that scanners type into, the camera, the search, the counters, the answer to the last scan."""
    event = find(request, event_id)
    name = gate_name(request)
    check = face_check(request, event)
    if check is not None and check.scan_id is not None:
        return redirect(address(request, event, scan=check.scan_id))
    if not name:
        known = queries.counters(event=event).gates
        return render(request, "gate/name.html", {"event": event, "gates": [one["gate"] for one in known]})
    supervises = queries.may(request.user, event, SUPERVISE)
    found, problem = looked_up(request, event)
    answer = answered(request, event)
    reviews = queries.open_reviews(event=event).exclude(pk=answer["id"] if answer else None) if supervises else []
    context = {
        "event": event,
        "gate": name,
        "supervises": supervises,
        "opens_at": queries.opens_at(event),
        "not_open": queries.opens_at(event) > timezone.now(),
        "checks_faces": queries.checks_faces(event),
        "answer": answer,
        "comparing": check is not None and check.status == FaceCheck.Status.RESERVED,
        "found": found,
        "problem": problem,
        "query": request.GET.get("q", ""),
        "counters": queries.counters(event=event),
        "latest": [render_scan(one) for one in queries.latest_scans(event=event)],
        "cases": [render_scan(one) for one in queries.open_cases(event=event)] if supervises else [],
        "reviews": [render_scan(one) | {"missed": one.missed} for one in reviews],
        "key": public_key(),
        "words": offline.words(),
        "version": offline.version(),
        "sight_seconds": settings.GATE_SIGHT_SECONDS,
        "section": "gate",
    }
    response = render(request, "gate/gate.html", context)
    if context["comparing"]:
        response.headers["Refresh"] = str(LOOK_AGAIN_SECONDS)
    return response


@require_safe
@page
def worker(request: HttpRequest) -> HttpResponse:
    """The service worker: the same for everybody, and always the newest."""
    response = HttpResponse(offline.worker(request), content_type="text/javascript; charset=utf-8")
    response.headers["Service-Worker-Allowed"] = reverse("gates")
    response.headers["Cache-Control"] = "no-cache"
    return response


@require_safe
@page
def shell(request: HttpRequest) -> HttpResponse:
    """What opens in the gate's place without network: the page without an event, for nobody in particular."""
    response = render(request, "gate/shell.html", offline.shell_context(request))
    response.headers["Cache-Control"] = "no-cache"
    return response


@require_POST
@members_only
def scan(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Answer one scan: as JSON for the script, else by leading back to the gate with the answer."""
    event = find(request, event_id)
    limits.check(request, scope="read")
    given = {
        name: request.POST[name]
        for name in ("gate", "device", "code", "ticket_id", "client_id")
        if request.POST.get(name)
    }
    try:
        wanted = ScanIn().run_validation(given)
    except ValidationError:
        nothing = "There was nothing to read. Scan again."
        return told(Invalid(nothing)) if asks_for_json(request) else back(request, event, nothing)
    try:
        made = services.scan_ticket(event_id=event.pk, staff_id=request.user.pk, **wanted)
    except FairseatError as refusal:
        if asks_for_json(request):
            return told(refusal)
        return back(request, event, refusal.text)
    if asks_for_json(request):
        return JsonResponse(render_scan(made))
    return to_answer(request, event, made)


@require_safe
@members_only
def offline_list(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """The signed list for scanning without network."""
    event = find(request, event_id)
    try:
        services.open_list(
            event_id=event.pk,
            staff_id=request.user.pk,
            gate=gate_name(request),
            device=request.GET.get("device", ""),
        )
    except FairseatError as refusal:
        return told(refusal)
    return JsonResponse(build_list(event=event, now=timezone.now()))


@require_POST
@members_only
def sync(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Take in what the page scanned without network."""
    event = find(request, event_id)
    limits.check(request, scope="read")
    try:
        given = SyncIn().run_validation(json.loads(request.body))
        brought = [services.Offline(**one) for one in given.pop("scans")]
        taken = services.sync_scans(event_id=event.pk, staff_id=request.user.pk, scans=brought, **given)
    except (ValidationError, ValueError):
        return told(Invalid())
    except FairseatError as refusal:
        return told(refusal)
    return JsonResponse({"scans": [render_scan(made, client_id=one.client_id) for one, made in taken]})


@require_safe
@members_only
def live(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """The counters, for the script; and what a page needs that was opened without network or before a deploy."""
    counted = render_counters(queries.counters(event=find(request, event_id)))
    return JsonResponse(counted | {"token": get_token(request), "version": offline.version()})


@require_POST
@members_only
def rules(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Open the gate now, or at its plain time; compare faces, or not."""
    event = find(request, event_id, SUPERVISE)
    changes: dict[str, Any] = {}
    if request.POST.get("opens") in {"now", "plain"}:
        changes["opens_at"] = timezone.now() if request.POST["opens"] == "now" else None
    if request.POST.get("faces") in {"on", "off"}:
        changes["checks_faces"] = request.POST["faces"] == "on"
    return tried(
        request,
        event,
        "Changed.",
        lambda: services.change_entrance(
            event_id=event.pk, staff_id=request.user.pk, reason=request.POST.get("reason", ""), **changes
        ),
    )


@require_POST
@members_only
def undo(request: HttpRequest, event_id: UUID, scan_id: UUID) -> HttpResponse:
    """Take a scan back."""
    event = find(request, event_id, SUPERVISE)
    return tried(
        request,
        event,
        "Taken back. The ticket is good for the door again.",
        lambda: services.undo_scan(
            event_id=event.pk, scan_id=scan_id, staff_id=request.user.pk, reason=request.POST.get("reason", "")
        ),
    )


@require_POST
@members_only
def resolve(request: HttpRequest, event_id: UUID, scan_id: UUID) -> HttpResponse:
    """Close a case."""
    event = find(request, event_id, SUPERVISE)
    return tried(
        request,
        event,
        "Closed.",
        lambda: services.close_case(
            event_id=event.pk, scan_id=scan_id, staff_id=request.user.pk, resolution=request.POST.get("reason", "")
        ),
    )


@require_POST
@members_only
def identity(request: HttpRequest, event_id: UUID, scan_id: UUID) -> HttpResponse:
    """Let the holder in whose ID was looked at."""
    event = find(request, event_id)
    try:
        made = services.accept_by_identity(
            event_id=event.pk,
            scan_id=scan_id,
            staff_id=request.user.pk,
            gate=gate_name(request),
            note=request.POST.get("reason", ""),
        )
    except FairseatError as refusal:
        return back(request, event, refusal.text, scan_id)
    return to_answer(request, event, made)


@require_POST
@members_only
def review(request: HttpRequest, event_id: UUID, scan_id: UUID) -> HttpResponse:
    """Let somebody in, or refuse them, after a face check that failed."""
    event = find(request, event_id, SUPERVISE)
    try:
        made = services.review_scan(
            event_id=event.pk,
            scan_id=scan_id,
            staff_id=request.user.pk,
            gate=gate_name(request),
            let_in=request.POST.get("decision") == "let_in",
            reason=request.POST.get("reason", ""),
        )
    except FairseatError as refusal:
        return back(request, event, refusal.text, scan_id)
    return to_answer(request, event, made)


@require_POST
@members_only
def face(request: HttpRequest, event_id: UUID, scan_id: UUID) -> HttpResponse:
    """Compare the person at the door with the verified holder; the picture goes with the decision."""
    event = find(request, event_id)
    limits.check(request, scope="face")
    photo = request.FILES.get("photo")
    if photo is None or (photo.size or 0) > LONGEST_PHOTO:
        return back(request, event, "Take a photo of the face first.", scan_id)
    try:
        check = services.check_face(
            event_id=event.pk,
            scan_id=scan_id,
            staff_id=request.user.pk,
            gate=gate_name(request),
            photo=photo.read(),
        )
    except FairseatError as refusal:
        return back(request, event, refusal.text, scan_id)
    decided = await_check(check.pk)
    if decided is None:
        return redirect(address(request, event, scan=scan_id, check=check.pk))
    if decided.status == FaceCheck.Status.RETURNED or decided.scan is None:
        return back(request, event, why_returned(decided), scan_id)
    return to_answer(request, event, decided.scan)


# -- What they share --------------------------------------------------------------------------------------------------


def find(request: HttpRequest, event_id: UUID, permission: str = SCAN) -> Event:
    """
    Load the event of the gate.

    :raises GateNotFound: if there is none for this person
    :raises SupervisorNeeded: if a supervisor has to do it
    """
    return queries.get_gate(event_id=event_id, viewer=request.user, permission=permission)


def gate_name(request: HttpRequest) -> str:
    """Return the name of the gate this device stands at."""
    return " ".join((request.POST.get("gate") or request.GET.get("gate") or "").split())[:40]


def asks_for_json(request: HttpRequest) -> bool:
    """Whether the script asks, not a form."""
    return request.headers.get("Accept", "").startswith("application/json")


def told(refusal: FairseatError) -> HttpResponse:
    """Return a refusal for the script."""
    return JsonResponse({"code": refusal.code, "words": refusal.text}, status=refusal.status)


def answered(request: HttpRequest, event: Event) -> dict[str, Any] | None:
    """Return the scan that the address names, to be answered on this page."""
    try:
        return render_scan(queries.get_scan(event_id=event.pk, scan_id=UUID(request.GET.get("scan", ""))))
    except (ValueError, ScanNotFound):
        return None


def face_check(request: HttpRequest, event: Event) -> FaceCheck | None:
    """Return the comparison that the address names; one that says nothing about the person is told."""
    try:
        check = queries.get_check(event_id=event.pk, check_id=UUID(request.GET.get("check", "")))
    except (ValueError, CheckNotFound):
        return None
    if check.status == FaceCheck.Status.RETURNED:
        messages.error(request, why_returned(check))
    return check


def why_returned(check: FaceCheck) -> str:
    """Return what to say when a comparison came to nothing."""
    away = check.failure_code in {"check_interrupted", EngineTrouble.code, EngineMisconfigured.code}
    return SERVICE_IS_AWAY if away else PICTURE_IS_NO_USE


def looked_up(request: HttpRequest, event: Event) -> tuple[list[dict[str, Any]] | None, str]:
    """Return the tickets that were searched for (None: nothing was), and what is wrong with the question."""
    if "q" not in request.GET:
        return None, ""
    try:
        return [render_ticket(one) for one in queries.search_tickets(event=event, text=request.GET["q"])], ""
    except FairseatError as refusal:
        return None, refusal.text


def tried(request: HttpRequest, event: Event, done: str, act: Any) -> HttpResponse:
    """Do something, say that it is done or why not, and go back to the gate."""
    try:
        act()
    except FairseatError as refusal:
        return back(request, event, refusal.text)
    messages.success(request, done)
    return redirect(address(request, event))


def back(request: HttpRequest, event: Event, words: str, scan_id: UUID | None = None) -> HttpResponse:
    """Go back to the gate (and the scan that asked) with a refusal."""
    messages.error(request, words)
    return redirect(address(request, event, **({"scan": scan_id} if scan_id else {})))


def to_answer(request: HttpRequest, event: Event, made: Scan) -> HttpResponse:
    """Lead to the answer, so that loading the page again scans nothing again."""
    return redirect(address(request, event, scan=made.pk))


def address(request: HttpRequest, event: Event, **more: Any) -> str:
    """Return the address of this gate."""
    return f"{reverse('gate', args=[event.pk])}?{urlencode({'gate': gate_name(request)} | more)}"
