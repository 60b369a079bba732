"""The waitlist's doors of the API."""

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.serializers import NotificationOut
from accounts.notifications.queries import Shown, list_for
from accounts.permissions import IsStaff, may
from bookings.api.views import IDEMPOTENCY
from common.api import Answer, Pages, idempotent, parse_id, read
from common.errors import NotFound
from events.queries import get_event
from waitlist import places, queries, services
from waitlist.api.serializers import (
    AcceptOfferIn,
    DoneOut,
    EventWaitlistOut,
    JoinedOut,
    JoinWaitlistIn,
    OfferAcceptedOut,
    OwnEntryOut,
    OwnPlaceOut,
    ProcessedOut,
    ProcessIn,
    WaitlistQueryIn,
    render_accepted,
    render_own,
    render_place,
    render_processed,
    render_row,
)
from waitlist.models import WaitlistEntry
from waitlist.services.staff import clean_up_by_staff, offer_next_by_staff

PAGES = [OpenApiParameter("page", int), OpenApiParameter("pageSize", int, description="20, at most 100.")]
STATUS = OpenApiParameter("status", str, enum=list(WaitlistEntry.Status.values))


def rows_of(request: Request, entries: QuerySet[WaitlistEntry], view: APIView) -> Answer:
    """Return one page of a list as S1 writes it: under `waitlist`, with `results` beside `data`."""
    pages = Pages()
    page = pages.paginate_queryset(entries, request, view=view) or []
    answer = pages.get_paginated_response({"waitlist": [render_row(entry) for entry in page]})
    answer.results = len(page)
    return answer


class OwnEntriesView(APIView):
    @extend_schema(
        operation_id="listWaitlists",
        tags=["waitlist"],
        parameters=PAGES,
        responses=OwnEntryOut(many=True),
        summary="Where I wait, and what became of it",
    )
    def get(self, request: Request) -> Answer:
        pages = Pages()
        page = pages.paginate_queryset(places.list_own(user_id=request.user.pk), request, view=self) or []
        return pages.get_paginated_response([render_own(entry) for entry in page])


class JoinView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="joinWaitlist",
        tags=["waitlist"],
        request=JoinWaitlistIn,
        responses={201: JoinedOut},
        parameters=[IDEMPOTENCY],
        summary="Join the waitlist of an event that is sold out",
    )
    def post(self, request: Request) -> Answer:
        wish = read(JoinWaitlistIn, request)
        return idempotent(request, lambda: self.join(request, wish))

    def join(self, request: Request, wish: dict) -> Answer:
        joined = services.join_as_buyer(user_id=request.user.pk, **wish)
        entry = places.get_entry_for(user_id=request.user.pk, entry_id=joined.pk)
        return Answer({"waitlist": render_own(entry)}, message="You are on the waitlist.", status=201)


class NotificationsView(APIView):
    @extend_schema(
        operation_id="listWaitlistNotifications",
        tags=["waitlist"],
        parameters=PAGES,
        responses=NotificationOut(many=True),
        summary="What the waitlist told me, newest first",
    )
    def get(self, request: Request) -> Answer:
        pages = Pages()
        told = pages.paginate_queryset(list_for(request.user.pk, groups=["waitlist"]), request, view=self) or []
        return pages.get_paginated_response(NotificationOut([Shown.of(one) for one in told], many=True).data)


class EventWaitlistView(APIView):
    permission_classes = [IsStaff]
    staff_permission = "waitlist.view_waitlistentry"
    own_events = True

    @extend_schema(
        operation_id="getEventWaitlist",
        tags=["waitlist"],
        parameters=[STATUS, *PAGES],
        responses=EventWaitlistOut,
        summary="An event's waitlist",
    )
    def get(self, request: Request, event_id: str) -> Answer:
        wish = WaitlistQueryIn(data=request.query_params)
        wish.is_valid(raise_exception=True)
        event = get_event(event_id=parse_id(event_id, "event"), viewer_id=request.user.pk)
        if not may(request.user, self.staff_permission, organiser_id=event.created_by_id):
            raise NotFound
        entries = queries.list_entries(event_id=event.pk, status=wish.validated_data.get("status", ""))
        return rows_of(request, entries, self)


class EveryWaitlistView(APIView):
    """Everybody who waits, for one event if the query names it; see `config.aliases`."""

    permission_classes = [IsStaff]
    staff_permission = "waitlist.view_waitlistentry"

    def get(self, request: Request) -> Answer:
        wish = WaitlistQueryIn(data={name.replace("eventId", "event_id"): value for name, value in request.GET.items()})
        wish.is_valid(raise_exception=True)
        named = wish.validated_data
        status = named.get("status", "" if "event_id" in named else WaitlistEntry.Status.WAITING)
        return rows_of(request, queries.list_entries(event_id=named.get("event_id"), status=status), self)


class UserPlaceView(APIView):
    @extend_schema(
        operation_id="getWaitlistPlace",
        tags=["waitlist"],
        responses=OwnPlaceOut,
        summary="Where somebody waits for an event",
    )
    def get(self, request: Request, user_id: str, event_id: str) -> Answer:
        entry = queries.get_live_entry_for(
            viewer=request.user, user_id=parse_id(user_id, "user"), event_id=parse_id(event_id, "event")
        )
        return Answer(render_place(entry))


class AcceptView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="acceptOffer",
        tags=["waitlist"],
        request=AcceptOfferIn,
        responses={200: OfferAcceptedOut, 403: None, 404: None, 410: None},
        parameters=[IDEMPOTENCY],
        summary="Accept an offer: a ticket at once when there is nothing to pay online, otherwise a hold to pay",
    )
    def post(self, request: Request, waitlist_id: str) -> Answer:
        entry_id, wish = parse_id(waitlist_id, "waitlist"), read(AcceptOfferIn, request)
        return idempotent(request, lambda: self.accept(request, entry_id, wish))

    def accept(self, request: Request, entry_id, wish: dict) -> Answer:
        booking = services.accept_offer(entry_id=entry_id, user_id=request.user.pk, quantity=wish.get("quantity"))
        return Answer(render_accepted(booking))


class RejectView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="rejectOffer",
        tags=["waitlist"],
        request=None,
        responses={200: DoneOut, 404: None, 410: None},
        parameters=[IDEMPOTENCY],
        summary="Pass an offer on to the next person",
    )
    def post(self, request: Request, waitlist_id: str) -> Answer:
        entry_id = parse_id(waitlist_id, "waitlist")
        return idempotent(request, lambda: self.reject(request, entry_id))

    def reject(self, request: Request, entry_id) -> Answer:
        services.reject_offer(entry_id=entry_id, user_id=request.user.pk)
        return Answer({"success": True, "message": "Offer rejected"})


class ProcessView(APIView):
    permission_classes = [IsStaff]
    staff_permission = "waitlist.change_waitlistentry"
    throttle_scope = "booking"

    @extend_schema(
        operation_id="processWaitlist",
        tags=["waitlist"],
        request=ProcessIn,
        responses={200: ProcessedOut},
        summary="Offer what is free to the next people on the list now",
    )
    def post(self, request: Request, event_id: str) -> Answer:
        event = get_event(event_id=parse_id(event_id, "event"), viewer_id=request.user.pk)
        slots = read(ProcessIn, request)["slots_available"]
        offers = offer_next_by_staff(event_id=event.pk, staff_id=request.user.pk, limit=slots)
        return Answer(render_processed(event.pk, places.ranked(offers)))


class CleanUpView(APIView):
    permission_classes = [IsStaff]
    staff_permission = "waitlist.change_waitlistentry"
    throttle_scope = "booking"

    @extend_schema(
        operation_id="cleanUpWaitlists",
        tags=["waitlist"],
        request=None,
        responses={200: DoneOut},
        summary="End the offers that are over now",
    )
    def post(self, request: Request) -> Answer:
        moved = clean_up_by_staff(staff_id=request.user.pk)
        return Answer({"success": True, "message": f"Cleaned up {moved} expired offers"})


class LeaveView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="leaveWaitlist",
        tags=["waitlist"],
        request=None,
        responses={200: DoneOut},
        summary="Leave an event's waitlist",
    )
    def delete(self, request: Request, event_id: str) -> Answer:
        services.leave(user_id=request.user.pk, event_id=parse_id(event_id, "event"))
        return Answer({"success": True, "message": "You left the waitlist."})
