"""The invited person's doors: see an invitation to a ticket, accept it, say no."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from bookings.api.serializers import EventBriefOut, TicketOut, render_event, render_ticket
from bookings.models import TicketHandover
from bookings.queries import tickets_with_all
from bookings.services import decline_invitation
from common.api import Answer, Input, read
from registrations import queries, services
from registrations.api.serializers import StatusOut, render_status


class TokenIn(Input):
    token = serializers.CharField(max_length=100, help_text="From the mailed link.")


class InvitedOut(serializers.Serializer):
    event = EventBriefOut()
    giver = serializers.CharField(help_text="The name of who invites.")
    needs_face_check = serializers.BooleanField()
    status = serializers.ChoiceField(choices=TicketHandover.Status.choices)
    expires_at = serializers.DateTimeField()


class AcceptedOut(serializers.Serializer):
    ticket = TicketOut(allow_null=True, help_text="Null: a face check comes first, see `registration`.")
    registration = StatusOut(allow_null=True)


def render_invited(handover: TicketHandover) -> dict[str, Any]:
    """Return an invitation as the invited person sees it: nothing about the booking it comes from."""
    return {
        "event": render_event(handover.ticket.event),
        "giver": handover.named_by.display_name,
        "needs_face_check": handover.ticket.personal,
        "status": handover.status,
        "expires_at": handover.expires_at,
    }


class InvitationView(APIView):
    permission_classes = [AllowAny]
    throttle_scope = "auth"

    @extend_schema(
        operation_id="getInvitation",
        tags=["tickets"],
        request=TokenIn,
        responses={200: InvitedOut, 410: None},
        summary="See an invitation to a ticket",
    )
    def post(self, request: Request) -> Answer:
        return Answer(render_invited(queries.get_invitation_with_all(read(TokenIn, request)["token"])))


class AcceptInvitationView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="acceptInvitation",
        tags=["tickets"],
        request=TokenIn,
        responses={200: AcceptedOut, 410: None},
        summary="Accept an invitation to a ticket",
    )
    def post(self, request: Request) -> Answer:
        done = services.accept_invitation(token=read(TokenIn, request)["token"], user_id=request.user.pk)
        ticket = tickets_with_all().get(pk=done.ticket.pk) if done.ticket else None
        journey = (
            queries.journey_of(queries.registrations_with_all().get(pk=done.registration.pk))
            if done.registration
            else None
        )
        body = {
            "ticket": render_ticket(ticket, ticket.booking, viewer_id=request.user.pk) if ticket else None,
            "registration": render_status(journey) if journey else None,
        }
        return Answer(body, message="The ticket is yours." if ticket else "One step is left: show that it is you.")


class DeclineInvitationView(APIView):
    permission_classes = [AllowAny]
    throttle_scope = "auth"

    @extend_schema(
        operation_id="declineInvitation",
        tags=["tickets"],
        request=TokenIn,
        responses={200: None, 410: None},
        summary="Say no to an invitation to a ticket",
    )
    def post(self, request: Request) -> Answer:
        decline_invitation(token=read(TokenIn, request)["token"])
        return Answer(message="Thank you for telling us. The ticket stays with the person who invited you.")
