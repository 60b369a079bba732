"""The doors of outgoing webhooks, for an organiser's own endpoints."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.permissions import IsOrganiser
from common.api import Answer, Pages, idempotent, parse_id, read
from webhooks import queries, services
from webhooks.api.serializers import (
    DeliveryOut,
    EndpointChangesIn,
    EndpointIn,
    EndpointOut,
    NewEndpointOut,
    render_delivery,
    render_endpoint,
)
from webhooks.models import WebhookDelivery, WebhookEndpoint

IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="The same key again gives the same answer, once."
)
PAGES = [OpenApiParameter("page", int), OpenApiParameter("pageSize", int, description="20, at most 100.")]
STATUS = OpenApiParameter("status", str, enum=list(WebhookDelivery.Status.values))


class OwnView(APIView):
    """A view of an organiser's own endpoints."""

    permission_classes = [IsOrganiser]

    def endpoint(self, request: Request, webhook_id: str) -> WebhookEndpoint:
        """Load the endpoint the path names."""
        return queries.get_endpoint_for(organiser_id=request.user.pk, endpoint_id=parse_id(webhook_id, "webhook"))


class EndpointsView(OwnView):
    @extend_schema(
        operation_id="listWebhooks", tags=["webhooks"], responses=EndpointOut(many=True), summary="My webhooks"
    )
    def get(self, request: Request) -> Answer:
        return Answer([render_endpoint(one) for one in queries.list_endpoints(organiser_id=request.user.pk)])

    @extend_schema(
        operation_id="createWebhook",
        tags=["webhooks"],
        request=EndpointIn,
        responses={201: NewEndpointOut},
        summary="Be told of what happens to my events",
        description="The secret is in this answer and never again. Messages are signed as Standard Webhooks 1.0 says.",
    )
    def post(self, request: Request) -> Answer:
        made = services.create_endpoint(organiser_id=request.user.pk, **read(EndpointIn, request))
        return Answer(
            render_endpoint(made.endpoint) | {"secret": made.secret},
            message="Keep the secret now: it is not shown again.",
            status=201,
        )


class EndpointView(OwnView):
    @extend_schema(operation_id="getWebhook", tags=["webhooks"], responses=EndpointOut, summary="One webhook")
    def get(self, request: Request, webhook_id: str) -> Answer:
        return Answer(render_endpoint(self.endpoint(request, webhook_id)))

    @extend_schema(
        operation_id="changeWebhook",
        tags=["webhooks"],
        request=EndpointChangesIn,
        responses=EndpointOut,
        summary="Change a webhook, switch it off or on",
    )
    def patch(self, request: Request, webhook_id: str) -> Answer:
        endpoint = self.endpoint(request, webhook_id)
        return Answer(render_endpoint(services.change_endpoint(endpoint=endpoint, **read(EndpointChangesIn, request))))

    @extend_schema(operation_id="deleteWebhook", tags=["webhooks"], responses={204: None}, summary="Delete a webhook")
    def delete(self, request: Request, webhook_id: str) -> Answer:
        services.delete_endpoint(endpoint=self.endpoint(request, webhook_id))
        return Answer(status=204)


class RotateView(OwnView):
    @extend_schema(
        operation_id="rotateWebhookSecret",
        tags=["webhooks"],
        request=None,
        responses=NewEndpointOut,
        summary="Make a new secret",
        description="For 24 hours messages carry a signature of the old one too.",
    )
    def post(self, request: Request, webhook_id: str) -> Answer:
        made = services.rotate_secret(endpoint=self.endpoint(request, webhook_id))
        return Answer(
            render_endpoint(made.endpoint) | {"secret": made.secret},
            message="Keep the secret now: it is not shown again. The old one signs for 24 hours more.",
        )


class SendTestView(OwnView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="testWebhook",
        tags=["webhooks"],
        request=None,
        responses={202: DeliveryOut},
        parameters=[IDEMPOTENCY],
        summary="Send a test message",
    )
    def post(self, request: Request, webhook_id: str) -> Answer:
        def act() -> Answer:
            delivery = services.send_test(endpoint=self.endpoint(request, webhook_id))
            delivery.refresh_from_db()
            return Answer(render_delivery(delivery), message="A test message is on its way.", status=202)

        return idempotent(request, act)


class DeliveriesView(OwnView):
    @extend_schema(
        operation_id="listWebhookDeliveries",
        tags=["webhooks"],
        parameters=[STATUS, *PAGES],
        responses=DeliveryOut(many=True),
        summary="What was sent, and what the receiver said",
    )
    def get(self, request: Request, webhook_id: str) -> Answer:
        status = request.query_params.get("status", "")
        found = queries.list_deliveries(
            endpoint=self.endpoint(request, webhook_id),
            status=status if status in WebhookDelivery.Status.values else "",
        )
        pages = Pages()
        page = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response([render_delivery(one) for one in page])


class ResendView(OwnView):
    @extend_schema(
        operation_id="resendWebhookDelivery",
        tags=["webhooks"],
        request=None,
        responses={202: DeliveryOut},
        summary="Send a message once more",
    )
    def post(self, request: Request, webhook_id: str, delivery_id: str) -> Answer:
        endpoint = self.endpoint(request, webhook_id)
        delivery = queries.get_delivery(endpoint=endpoint, delivery_id=parse_id(delivery_id, "delivery"))
        services.resend(delivery=delivery)
        again = queries.get_delivery(endpoint=endpoint, delivery_id=delivery.pk)
        return Answer(render_delivery(again), message="It is on its way again.", status=202)
