"""The registration doors of the API: translate, call one service, render."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.permissions import IsStaff, may
from bookings.api.views import IDEMPOTENCY
from common.api import Answer, Pages, idempotent, parse_id, read
from common.errors import NotFound
from faceverify import services as faces
from faceverify.api.serializers import LivenessOut, render_check
from registrations import queries, services
from registrations.api.answers import action_of, answer_for, render_outcome
from registrations.api.serializers import (
    FOR_STAFF,
    BatchIn,
    BatchOut,
    CreatedOut,
    FaceImageCheckedOut,
    FaceImageIn,
    FailedVerificationsOut,
    OutcomeOut,
    OverrideIn,
    RegistrationIn,
    RegistrationOut,
    ReviewIn,
    StaffOnly,
    StatisticsOut,
    StatusOut,
    VerifyIn,
    render_analysis,
    render_batch,
    render_registration,
    render_status,
)
from registrations.models import BatchRun, Registration
from registrations.statistics import registration_statistics

PREFER = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    description="`respond-async`: answer 202 at once. Otherwise we wait a few seconds for the comparison.",
)
EVENT = OpenApiParameter("eventId", str, description="Only of this event.")
APPROVED = {
    "TICKET_ISSUED": "Ticket approved and issued by admin",
    "PAYMENT_REQUIRED": "Approved by admin. The ticket is held until it is paid.",
    "ADDED_TO_WAITLIST": "Approved by admin, but tickets are sold out. Added to waitlist.",
    "VERIFIED": "Approved by admin. Tickets can be taken when the sale lets them.",
}
REVIEWED = {"reject": "Registration rejected by admin", "request_retry": "User can retry verification"}


def own(request: Request, registration_id: str) -> Registration:
    """Load one's own registration from a path."""
    return queries.get_own_registration(
        user_id=request.user.pk, registration_id=parse_id(registration_id, "registration")
    )


def fresh(registration_id: UUID) -> queries.Journey:
    """Return where a registration stands now."""
    return queries.journey_of(queries.registrations_with_all().get(pk=registration_id))


def wanted_event(request: Request) -> UUID | None:
    """Read `?eventId=`."""
    text = request.query_params.get("eventId") or request.query_params.get("event_id")
    return parse_id(text, "event") if text else None


class RegistrationsView(APIView):
    """POST begins a journey, GET lists one's own."""

    @extend_schema(
        operation_id="createRegistration",
        tags=["registrations"],
        request=RegistrationIn,
        responses={201: CreatedOut},
        parameters=[IDEMPOTENCY],
        summary="Register for an event",
    )
    def post(self, request: Request) -> Answer:
        if any(name in request.data for name in FOR_STAFF) and not may(
            request.user, "registrations.change_registration"
        ):
            raise StaffOnly
        wish = read(RegistrationIn, request)
        event_id = parse_id(wish["event_id"], "event")
        user_id = parse_id(wish["user_id"], "user") if "user_id" in wish else request.user.pk
        return idempotent(request, lambda: self.register(request, event_id, user_id, wish))

    def register(self, request: Request, event_id: UUID, user_id: UUID, wish: dict[str, Any]) -> Answer:
        for_staff = any(name in wish for name in FOR_STAFF)
        if for_staff:
            registration = services.register_as_staff(
                actor=request.user.person,
                user_id=user_id,
                event_id=event_id,
                override_reason=wish.get("admin_override_reason") or "",
                issue_ticket=wish.get("admin_booked", False),
            )
        else:
            registration = services.create_registration(user_id=user_id, event_id=event_id)
        body = {"registration": render_registration(fresh(registration.pk), for_staff=for_staff)}
        return Answer(body, message="Registration created successfully", status=201)

    @extend_schema(
        operation_id="listRegistrations",
        tags=["registrations"],
        responses=RegistrationOut(many=True),
        summary="My registrations",
    )
    def get(self, request: Request) -> Answer:
        pages = Pages()
        mine = queries.list_registrations_for(user_id=request.user.pk)
        page = pages.paginate_queryset(mine, request, view=self) or []
        return pages.get_paginated_response([render_registration(journey) for journey in queries.journeys_of(page)])


class StatusView(APIView):
    @extend_schema(
        operation_id="getRegistrationStatus",
        tags=["registrations"],
        responses=StatusOut,
        summary="Where a registration stands and what comes next",
    )
    def get(self, request: Request, registration_id: str) -> Answer:
        registration = queries.get_registration_for(
            viewer=request.user, registration_id=parse_id(registration_id, "registration")
        )
        others = registration.user_id != request.user.pk
        return Answer(render_status(queries.journey_of(registration), for_staff=others))


class ValidateView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="validateFaceImage",
        tags=["registrations"],
        request=FaceImageIn,
        responses={200: FaceImageCheckedOut},
        summary="Check that a picture will do; nothing is compared and no try is used",
    )
    def post(self, request: Request, registration_id: str) -> Answer:
        own(request, registration_id)
        wish = read(FaceImageIn, request)
        return Answer(render_analysis(faces.analyse_probe(user_id=request.user.pk, image_key=wish["face_image_key"])))


class FaceChecksView(APIView):
    throttle_scope = "face"

    @extend_schema(
        operation_id="startFaceCheck",
        tags=["registrations"],
        request=None,
        responses={201: LivenessOut},
        summary="Begin to show that a person is before the camera (409 where the event does not ask for it)",
        description="For `pose_challenge` turn the head as `turns` says and send the frames to POST /face-checks/{checkId}; "
        "for `rekognition` run Amplify's FaceLivenessDetector with `providerSessionId`, then POST there without frames. The "
        "answer's `faceImageKey` is what verify-face wants, within three minutes and for this registration only.",
    )
    def post(self, request: Request, registration_id: str) -> Answer:
        check = services.start_liveness(registration=own(request, registration_id))
        return Answer(render_check(check), status=201)


class VerifyView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="verifyFace",
        tags=["registrations"],
        request=VerifyIn,
        responses={200: OutcomeOut, 202: StatusOut, 422: None},
        parameters=[PREFER, IDEMPOTENCY],
        summary="Compare a picture with my profile photo and get my ticket",
    )
    def post(self, request: Request, registration_id: str) -> Answer:
        return self.verify(request, own(request, registration_id))

    def verify(self, request: Request, registration: Registration) -> Answer:
        """Reserve a try under the request's key, then answer with what comes of it."""
        wish = read(VerifyIn, request)
        reserved = idempotent(request, lambda: self.reserve(registration, wish))
        asynchronous = "respond-async" in request.headers.get("Prefer", "").lower()
        answer = answer_for(UUID(str(reserved.data["attempt_id"])), wait=not asynchronous)
        if replayed := reserved.headers.get("Idempotency-Replayed"):
            answer.headers["Idempotency-Replayed"] = replayed
        return answer

    def reserve(self, registration: Registration, wish: dict[str, Any]) -> Answer:
        attempt = services.verify_face(
            registration=registration,
            image_key=wish["face_image_key"],
            similarity_threshold=wish.get("similarity_threshold"),
        )
        return Answer({"attempt_id": attempt.pk})


class RetryView(VerifyView):
    @extend_schema(
        operation_id="retryVerification",
        tags=["registrations"],
        request=VerifyIn,
        responses={200: OutcomeOut, 202: StatusOut, 422: None},
        parameters=[PREFER, IDEMPOTENCY],
        summary="Try again with a new picture",
    )
    def post(self, request: Request, registration_id: str) -> Answer:
        return self.verify(request, own(request, registration_id))


class AskAPersonView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="askAPerson",
        tags=["registrations"],
        request=None,
        responses={200: StatusOut},
        summary="Ask a person to check my ID instead of my face",
    )
    def post(self, request: Request, registration_id: str) -> Answer:
        registration = services.ask_a_person(registration=own(request, registration_id))
        return Answer(render_status(fresh(registration.pk)), message="A person will look at your case.")


class StatisticsView(APIView):
    permission_classes = [IsStaff]
    staff_permission = "registrations.view_registration"

    @extend_schema(
        operation_id="getRegistrationStats",
        tags=["registrations"],
        parameters=[EVENT],
        responses=StatisticsOut,
        summary="Registrations in figures",
    )
    def get(self, request: Request) -> Answer:
        return Answer(registration_statistics(event_id=wanted_event(request)))


class FailedVerificationsView(APIView):
    permission_classes = [IsStaff]
    staff_permission = "registrations.view_registration"

    @extend_schema(
        operation_id="listFailedVerifications",
        tags=["registrations"],
        parameters=[EVENT, OpenApiParameter("page", int), OpenApiParameter("pageSize", int)],
        responses=FailedVerificationsOut,
        summary="Whose face check failed, or who asks for a person",
    )
    def get(self, request: Request) -> Answer:
        pages = Pages()
        failed = queries.list_failed_verifications(event_id=wanted_event(request))
        page = pages.paginate_queryset(failed, request, view=self) or []
        rows = [render_registration(journey, for_staff=True) for journey in queries.journeys_of(page)]
        answer = pages.get_paginated_response({"failed_verifications": rows})
        answer.results = len(rows)
        return answer


class OverrideView(APIView):
    permission_classes = [IsStaff]
    staff_permission = "registrations.change_registration"
    throttle_scope = "booking"

    @extend_schema(
        operation_id="overrideTicket",
        tags=["registrations"],
        request=OverrideIn,
        responses={200: OutcomeOut},
        parameters=[IDEMPOTENCY],
        summary="Issue a ticket without a face check",
    )
    def post(self, request: Request, registration_id: str) -> Answer:
        which, wish = parse_id(registration_id, "registration"), read(OverrideIn, request)
        return idempotent(request, lambda: self.override(request, which, wish))

    def override(self, request: Request, registration_id: UUID, wish: dict[str, Any]) -> Answer:
        registration = queries.get_registration_for(viewer=request.user, registration_id=registration_id)
        services.override_ticket(
            actor=request.user.person,
            registration_id=registration.pk,
            reason=wish["override_reason"],
            category_id=wish.get("category_id"),
            exceed_capacity=wish["exceed_capacity"],
        )
        message = "Ticket issued by admin override"
        return Answer(render_outcome(fresh(registration.pk), message=message, action="TICKET_ISSUED", for_staff=True))


class ReviewView(APIView):
    permission_classes = [IsStaff]
    staff_permission = "registrations.change_registration"
    throttle_scope = "booking"

    @extend_schema(
        operation_id="reviewFailure",
        tags=["registrations"],
        request=ReviewIn,
        responses={200: OutcomeOut},
        parameters=[IDEMPOTENCY],
        summary="Decide a failed verification",
    )
    def post(self, request: Request, registration_id: str) -> Answer:
        which, wish = parse_id(registration_id, "registration"), read(ReviewIn, request)
        return idempotent(request, lambda: self.review(request, which, wish))

    def review(self, request: Request, registration_id: UUID, wish: dict[str, Any]) -> Answer:
        registration = queries.get_registration_for(viewer=request.user, registration_id=registration_id)
        services.review_failure(actor=request.user.person, registration_id=registration.pk, **wish)
        journey = fresh(registration.pk)
        action = action_of(journey) if wish["action"] == "approve" else ""
        message = APPROVED[action] if action else REVIEWED[wish["action"]]
        return Answer(render_outcome(journey, message=message, action=action, for_staff=True), message=message)


class BatchesView(APIView):
    permission_classes = [IsStaff]
    staff_permission = "registrations.change_registration"
    throttle_scope = "booking"

    @extend_schema(
        operation_id="createBatch",
        tags=["registrations"],
        request=BatchIn,
        responses={202: BatchOut},
        parameters=[IDEMPOTENCY],
        summary="Approve, re-check or let retry many registrations at once",
    )
    def post(self, request: Request) -> Answer:
        wish = read(BatchIn, request)
        return idempotent(request, lambda: self.start(request, wish))

    def start(self, request: Request, wish: dict[str, Any]) -> Answer:
        batch = services.start_batch(actor=request.user.person, **wish)
        batch.refresh_from_db()
        return Answer(render_batch(batch), status=202)


class BatchView(APIView):
    permission_classes = [IsStaff]
    staff_permission = "registrations.view_registration"

    @extend_schema(operation_id="getBatch", tags=["registrations"], responses=BatchOut, summary="How far a batch is")
    def get(self, request: Request, batch_id: str) -> Answer:
        batch = BatchRun.objects.filter(pk=parse_id(batch_id, "batch")).first()
        if batch is None:
            raise NotFound("There is no such batch.")
        return Answer(render_batch(batch))
