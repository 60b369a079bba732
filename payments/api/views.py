"""The payment doors of the API: translate, call one service, render."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from bookings.api.serializers import BookingOut, render_booking
from common.api import Answer, parse_id, read
from common.idempotency import once
from payments import services
from payments.api.serializers import IntentIn, IntentOut, PublicKeyOut, ReceivedOut


class PublicKeyView(APIView):
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []

    @extend_schema(
        operation_id="getPublishableKey",
        tags=["payments"],
        auth=[],
        responses=PublicKeyOut,
        summary="What a client needs to confirm a payment",
    )
    def get(self, request: Request) -> Answer:
        answer = {"publishable_key": settings.STRIPE_PUBLISHABLE_KEY, "api_base": settings.STRIPE_API_BASE}
        return Answer(answer, headers={"Cache-Control": "public, max-age=60"})


class CreateIntentView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="createPaymentIntent",
        tags=["payments"],
        request=IntentIn,
        responses={200: IntentOut, 410: None},
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="The same key again gives the same answer, once.",
            )
        ],
        summary="Open the payment of a hold",
    )
    def post(self, request: Request) -> Answer:
        booking_id = read(IntentIn, request)["booking_id"]
        replayed = self.claim(request, booking_id)
        view = services.create_intent(booking_id=booking_id, user_id=request.user.pk)
        return Answer(asdict(view), headers={"Idempotency-Replayed": "true"} if replayed else None)

    def claim(self, request: Request, booking_id: UUID) -> bool:
        """
        Bind an Idempotency-Key to this hold's payment and say whether it was bound before.

        Only our own row is made inside the key's transaction. The provider is asked after it, and answers the same intent
        to every call for the same row.
        """
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return False

        def act() -> tuple[int, Any]:
            payment = services.claim_payment(booking_id=booking_id, user_id=request.user.pk)
            return 200, {"payment": str(payment.pk)}

        owner = str(request.user.pk)
        return once(key=key, owner=owner, method="POST", path=request.path, body=request.data, act=act)[2]


class StripeWebhookView(APIView):
    """Stripe is known by its signature over the raw body, and is not slowed down."""

    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []
    throttle_classes: list[Any] = []

    @extend_schema(
        operation_id="stripeWebhook",
        tags=["payments"],
        auth=[],
        request=OpenApiTypes.OBJECT,
        responses=ReceivedOut,
        parameters=[OpenApiParameter("Stripe-Signature", str, OpenApiParameter.HEADER)],
        summary="Announcements of the payment provider",
    )
    def post(self, request: Request) -> Answer:
        signature = request.headers.get("Stripe-Signature", "")
        services.handle_webhook(payload=request._request.body, signature=signature)
        return Answer({"received": True})


class ConfirmView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="confirmBooking",
        tags=["bookings"],
        request=None,
        responses={200: BookingOut, 402: None, 410: None},
        summary="Confirm a booking after its payment",
    )
    def patch(self, request: Request, booking_id: str) -> Answer:
        wanted = parse_id(booking_id, "booking")
        booking = services.confirm_by_client(booking_id=wanted, user_id=request.user.pk)
        return Answer(render_booking(booking), message="Paid. Your tickets are on their way to you by mail.")
