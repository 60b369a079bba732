"""Reads of webhooks; an endpoint is its organiser's own."""

from uuid import UUID

from django.db.models import QuerySet

from webhooks.models import WebhookDelivery, WebhookEndpoint
from webhooks.services import DeliveryNotFound, EndpointNotFound


def list_endpoints(*, organiser_id: UUID) -> QuerySet[WebhookEndpoint]:
    """Return an organiser's endpoints, oldest first."""
    return WebhookEndpoint.objects.filter(organiser_id=organiser_id)


def get_endpoint_for(*, organiser_id: UUID, endpoint_id: UUID) -> WebhookEndpoint:
    """
    Load an organiser's own endpoint.

    :raises EndpointNotFound: if there is none, or it is somebody else's
    """
    endpoint = list_endpoints(organiser_id=organiser_id).filter(pk=endpoint_id).first()
    if endpoint is None:
        raise EndpointNotFound
    return endpoint


def list_deliveries(*, endpoint: WebhookEndpoint, status: str = "") -> QuerySet[WebhookDelivery]:
    """Return the deliveries of an endpoint with their tries, newest first."""
    deliveries = endpoint.deliveries.select_related("message").prefetch_related("log")
    return deliveries.filter(status=status) if status else deliveries


def get_delivery(*, endpoint: WebhookEndpoint, delivery_id: UUID) -> WebhookDelivery:
    """
    Load one delivery of an endpoint.

    :raises DeliveryNotFound: if it has none of that id
    """
    delivery = list_deliveries(endpoint=endpoint).select_related("endpoint").filter(pk=delivery_id).first()
    if delivery is None:
        raise DeliveryNotFound
    return delivery
