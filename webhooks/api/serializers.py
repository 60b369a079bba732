"""What an organiser's program sends about webhooks, and what it gets."""

from typing import Any

from rest_framework import serializers

from common.api import Input
from webhooks.kinds import KINDS
from webhooks.models import WebhookDelivery, WebhookEndpoint


class KindsField(serializers.ListField):
    """The kinds of news an endpoint wants; empty means all."""

    child = serializers.ChoiceField(list(KINDS))


class EndpointIn(Input):
    """A new endpoint."""

    protected = ("secret", "enabled", "organiser_id", "organiserId")

    url = serializers.CharField(max_length=500, help_text="A public https:// address.")
    kinds = KindsField(required=False, default=list, help_text="Empty: everything.")
    description = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class EndpointChangesIn(Input):
    """What changes; what is left out stays."""

    protected = ("secret", "organiser_id", "organiserId")

    url = serializers.CharField(max_length=500, required=False)
    kinds = KindsField(required=False)
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)
    enabled = serializers.BooleanField(required=False)


class EndpointOut(serializers.Serializer):
    """An endpoint."""

    id = serializers.UUIDField()
    url = serializers.CharField()
    description = serializers.CharField()
    kinds = serializers.ListField(child=serializers.CharField())
    enabled = serializers.BooleanField()
    disabled_because = serializers.CharField()
    failing_since = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class NewEndpointOut(EndpointOut):
    """An endpoint with its secret, which is shown this once."""

    secret = serializers.CharField(help_text="Signs every message (Standard Webhooks). Shown this once; keep it.")


class AttemptOut(serializers.Serializer):
    """One try."""

    at = serializers.DateTimeField()
    status_code = serializers.IntegerField(allow_null=True)
    milliseconds = serializers.IntegerField()
    problem = serializers.CharField()
    said = serializers.CharField(help_text="The beginning of the answer.")


class DeliveryOut(serializers.Serializer):
    """A message on its way."""

    id = serializers.UUIDField()
    message_id = serializers.CharField(help_text="The header `webhook-id`; the same on every try.")
    kind = serializers.CharField()
    payload = serializers.JSONField()
    status = serializers.ChoiceField(WebhookDelivery.Status.choices)
    due_at = serializers.DateTimeField(allow_null=True, help_text="The next try; null when there is none.")
    created_at = serializers.DateTimeField()
    attempts = AttemptOut(many=True)


def render_endpoint(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Return an endpoint for its organiser; never its secret."""
    names = ("id", "url", "description", "kinds", "enabled", "disabled_because", "failing_since", "created_at")
    return {name: getattr(endpoint, name) for name in names}


def render_delivery(delivery: WebhookDelivery) -> dict[str, Any]:
    """Return a delivery with its tries."""
    names = ("at", "status_code", "milliseconds", "problem", "said")
    return {
        "id": delivery.pk,
        "message_id": f"msg_{delivery.message_id.hex}",
        "kind": delivery.message.kind,
        "payload": delivery.message.payload,
        "status": delivery.status,
        "due_at": delivery.due_at if delivery.status == WebhookDelivery.Status.WAITING else None,
        "created_at": delivery.message.created_at,
        "attempts": [{name: getattr(one, name) for name in names} for one in delivery.log.all()],
    }
