"""What payments look like on the wire."""

from rest_framework import serializers

from common.api import Input


class IntentIn(Input):
    protected = ("amount", "amount_minor", "currency", "price", "payment_intent_id", "user_id", "status")

    booking_id = serializers.UUIDField()


class IntentOut(serializers.Serializer):
    payment_intent_id = serializers.CharField()
    client_secret = serializers.CharField()
    amount_minor = serializers.IntegerField()
    currency = serializers.CharField()
    status = serializers.CharField(help_text="The intent's status at the provider.")


class PublicKeyOut(serializers.Serializer):
    publishable_key = serializers.CharField()
    api_base = serializers.CharField(help_text="Where the intent is confirmed: Stripe, or the sandbox in test mode.")


class ReceivedOut(serializers.Serializer):
    received = serializers.BooleanField()
