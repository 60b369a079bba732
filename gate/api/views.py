"""The doors of the gate for scanner apps."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from common.api import Answer, idempotent, parse_id, read
from events.models import Event
from faceverify.api.parsers import UploadParser
from gate import queries, services
from gate.answers import await_check
from gate.api.serializers import (
    MOST_AT_ONCE,
    CountersOut,
    DecisionIn,
    EntranceIn,
    FaceCheckOut,
    FaceIn,
    GateOut,
    IdentityIn,
    ListOut,
    ReasonIn,
    ScanIn,
    ScanOut,
    SeatOut,
    SyncIn,
    render_check,
    render_counters,
    render_gate,
    render_scan,
    render_ticket,
)
from gate.lists import build_list
from gate.models import FaceCheck
from gate.queries import SCAN, SUPERVISE

IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="The same key again gives the same answer, once."
)
STANDING = [
    OpenApiParameter("gate", str, required=True, description="The gate's name."),
    OpenApiParameter("device", str, description="The device's own name."),
]


class GateView(APIView):
    """A view of one event's gate; whoever may not stand there finds nothing."""

    throttle_scope = "read"  # a busy gate scans more often than anybody books

    def event(self, request: Request, event_id: str, permission: str = SCAN) -> Event:
        """Load the event the path names."""
        return queries.get_gate(event_id=parse_id(event_id, "event"), viewer=request.user, permission=permission)


class GatesView(APIView):
    @extend_schema(
        operation_id="listGates", tags=["gate"], responses=GateOut(many=True), summary="The gates I may stand at"
    )
    def get(self, request: Request) -> Answer:
        return Answer([render_gate(event) for event in queries.list_gates(viewer=request.user)])


class EntranceView(GateView):
    @extend_schema(operation_id="getGate", tags=["gate"], responses=GateOut, summary="One gate and its rules")
    def get(self, request: Request, event_id: str) -> Answer:
        return Answer(render_gate(self.event(request, event_id)))

    @extend_schema(
        operation_id="changeGate",
        tags=["gate"],
        request=EntranceIn,
        responses=GateOut,
        summary="Change when it opens, or whether faces are compared (supervisors)",
    )
    def patch(self, request: Request, event_id: str) -> Answer:
        event = self.event(request, event_id, SUPERVISE)
        services.change_entrance(event_id=event.pk, staff_id=request.user.pk, **read(EntranceIn, request))
        return Answer(render_gate(self.event(request, event_id)))


class ScansView(GateView):
    @extend_schema(
        operation_id="scanTicket",
        tags=["gate"],
        request=ScanIn,
        responses={201: ScanOut},
        summary="Scan a ticket",
        description="Green or red is in `result`, why in `reason`. A red answer is a success of the request, and is kept. "
        "With a `clientId` it can be sent again after a lost answer.",
    )
    def post(self, request: Request, event_id: str) -> Answer:
        event = self.event(request, event_id)
        scan = services.scan_ticket(event_id=event.pk, staff_id=request.user.pk, **read(ScanIn, request))
        return Answer(render_scan(scan), status=201)


class SearchView(GateView):
    @extend_schema(
        operation_id="searchTickets",
        tags=["gate"],
        parameters=[OpenApiParameter("q", str, required=True, description="A name, or a booking's reference.")],
        responses=SeatOut(many=True),
        summary="Find a ticket by name or reference",
    )
    def get(self, request: Request, event_id: str) -> Answer:
        event = self.event(request, event_id)
        found = queries.search_tickets(event=event, text=request.query_params.get("q", ""))
        return Answer([render_ticket(ticket) for ticket in found])


class UndoView(GateView):
    @extend_schema(
        operation_id="undoScan",
        tags=["gate"],
        request=ReasonIn,
        responses=ScanOut,
        parameters=[IDEMPOTENCY],
        summary="Take a scan back (supervisors)",
    )
    def post(self, request: Request, event_id: str, scan_id: str) -> Answer:
        event = self.event(request, event_id, SUPERVISE)

        def act() -> Answer:
            return Answer(render_scan(services.undo_scan(**named(event, scan_id, request), **read(ReasonIn, request))))

        return idempotent(request, act)


class ResolveView(GateView):
    @extend_schema(
        operation_id="closeGateCase",
        tags=["gate"],
        request=ReasonIn,
        responses=ScanOut,
        parameters=[IDEMPOTENCY],
        summary="Close the case of a double entry (supervisors)",
    )
    def post(self, request: Request, event_id: str, scan_id: str) -> Answer:
        event = self.event(request, event_id, SUPERVISE)

        def act() -> Answer:
            words = read(ReasonIn, request)["reason"]
            return Answer(render_scan(services.close_case(**named(event, scan_id, request), resolution=words)))

        return idempotent(request, act)


class ReviewView(GateView):
    @extend_schema(
        operation_id="reviewScan",
        tags=["gate"],
        request=DecisionIn,
        responses={201: ScanOut},
        summary="Let somebody in, or refuse them, after a face check that failed (supervisors)",
        description="Either way it is a scan of its own, kept with the reason. A refusal holds at every gate until a "
        "supervisor lets the person in after all.",
    )
    def post(self, request: Request, event_id: str, scan_id: str) -> Answer:
        event = self.event(request, event_id, SUPERVISE)
        given = read(DecisionIn, request)
        let_in = given.pop("decision") == "let_in"
        return Answer(
            render_scan(services.review_scan(**named(event, scan_id, request), let_in=let_in, **given)), status=201
        )


class ReviewsView(GateView):
    @extend_schema(
        operation_id="listGateReviews",
        tags=["gate"],
        responses=ScanOut(many=True),
        summary="Failed face checks nobody has decided yet (supervisors)",
    )
    def get(self, request: Request, event_id: str) -> Answer:
        event = self.event(request, event_id, SUPERVISE)
        return Answer([render_scan(scan) for scan in queries.open_reviews(event=event)[:MOST_AT_ONCE]])


class IdentityView(GateView):
    @extend_schema(
        operation_id="acceptByIdentity",
        tags=["gate"],
        request=IdentityIn,
        responses={201: ScanOut},
        summary="Let the holder in whose ID was looked at",
    )
    def post(self, request: Request, event_id: str, scan_id: str) -> Answer:
        event = self.event(request, event_id)
        given = read(IdentityIn, request)
        scan = services.accept_by_identity(**named(event, scan_id, request), note=given.pop("reason"), **given)
        return Answer(render_scan(scan), status=201)


class FaceView(GateView):
    throttle_scope = "face"
    parser_classes = [UploadParser]

    @extend_schema(
        operation_id="checkFaceAtGate",
        tags=["gate"],
        request={"multipart/form-data": FaceIn},
        responses={200: FaceCheckOut, 202: FaceCheckOut},
        summary="Compare the person at the door with the verified holder",
        description="The picture is deleted with the decision. 202: not decided yet, ask for the check again.",
    )
    def post(self, request: Request, event_id: str, scan_id: str) -> Answer:
        event = self.event(request, event_id)
        given = read(FaceIn, request)
        photo = given.pop("photo").read()
        check = services.check_face(**named(event, scan_id, request), photo=photo, **given)
        return answer_for(await_check(check.pk) or check)


class FaceCheckView(GateView):
    @extend_schema(
        operation_id="getFaceCheckAtGate", tags=["gate"], responses=FaceCheckOut, summary="What came of a comparison"
    )
    def get(self, request: Request, event_id: str, check_id: str) -> Answer:
        event = self.event(request, event_id)
        return answer_for(queries.get_check(event_id=event.pk, check_id=parse_id(check_id, "check")))


class CountersView(GateView):
    @extend_schema(operation_id="getGateCounters", tags=["gate"], responses=CountersOut, summary="How full it is")
    def get(self, request: Request, event_id: str) -> Answer:
        return Answer(render_counters(queries.counters(event=self.event(request, event_id))))


class CasesView(GateView):
    @extend_schema(
        operation_id="listGateCases",
        tags=["gate"],
        responses=ScanOut(many=True),
        summary="Who was let in twice or wrongly without network (supervisors)",
    )
    def get(self, request: Request, event_id: str) -> Answer:
        event = self.event(request, event_id, SUPERVISE)
        return Answer([render_scan(scan) for scan in queries.open_cases(event=event)])


class ListView(GateView):
    @extend_schema(
        operation_id="getOfflineList",
        tags=["gate"],
        parameters=STANDING,
        responses=ListOut,
        summary="The signed list for scanning without network",
        description="Hashes and states, no names. Verify the signature before you use it.",
    )
    def get(self, request: Request, event_id: str) -> Answer:
        event = self.event(request, event_id)
        services.open_list(
            event_id=event.pk,
            staff_id=request.user.pk,
            gate=request.query_params.get("gate", ""),
            device=request.query_params.get("device", ""),
        )
        return Answer(build_list(event=event, now=timezone.now()))


class SyncView(GateView):
    @extend_schema(
        operation_id="syncScans",
        tags=["gate"],
        request=SyncIn,
        responses=ScanOut(many=True),
        summary="Bring what was scanned without network",
        description="Each scan counts once by its `clientId`, however often it is sent. Whom another gate had let in already "
        "comes back as `double`, and is a case for a supervisor.",
    )
    def post(self, request: Request, event_id: str) -> Answer:
        event = self.event(request, event_id)
        given = read(SyncIn, request)
        brought = [services.Offline(**one) for one in given.pop("scans")]
        taken = services.sync_scans(event_id=event.pk, staff_id=request.user.pk, scans=brought, **given)
        return Answer([render_scan(scan, client_id=offline.client_id) for offline, scan in taken])


def named(event: Event, scan_id: str, request: Request) -> dict[str, Any]:
    """Return which scan of which event, and who."""
    return {"event_id": event.pk, "scan_id": parse_id(scan_id, "scan"), "staff_id": request.user.pk}


def answer_for(check: FaceCheck) -> Answer:
    """Return a comparison; 202 while it is under way."""
    under_way = check.status == FaceCheck.Status.RESERVED
    return Answer(
        render_check(check), status=202 if under_way else 200, headers={"Retry-After": "1"} if under_way else None
    )
