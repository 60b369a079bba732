"""Doors of the API for operators that belong to no app."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.permissions import IsStaff
from common.api import Answer
from config import doctor, vitals


class FindingOut(serializers.Serializer):
    """One look of the doctor."""

    name = serializers.CharField()
    state = serializers.ChoiceField(["well", "doubtful", "wrong"])
    detail = serializers.CharField()
    advice = serializers.CharField(help_text="What to do; empty when all is well.")
    ms = serializers.FloatField()


class MachineOut(serializers.Serializer):
    """The machine that answered."""

    cpu_percent = serializers.FloatField()
    cpus = serializers.IntegerField()
    load = serializers.ListField(child=serializers.FloatField(), help_text="Over 1, 5 and 15 minutes.")
    memory_percent = serializers.FloatField()
    memory_available_mb = serializers.IntegerField()
    parts = serializers.DictField(child=serializers.IntegerField(), help_text="Memory of each part in MB.")


class RequestsOut(serializers.Serializer):
    """Requests since the web layer started."""

    answered = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Answered with 5xx.")
    error_rate = serializers.FloatField()
    p50_ms = serializers.FloatField(allow_null=True, help_text="The bound of the histogram's bucket it falls into.")
    p95_ms = serializers.FloatField(allow_null=True)
    p99_ms = serializers.FloatField(allow_null=True)


class HealthOut(serializers.Serializer):
    """How the whole system is."""

    ok = serializers.BooleanField()
    findings = FindingOut(many=True)
    machine = MachineOut()
    requests = RequestsOut()


class HealthView(APIView):
    """How the whole system is, for staff."""

    permission_classes = [IsStaff]
    staff_permission = "common.view_heartbeat"
    throttle_scope = "read"

    @extend_schema(
        operation_id="getSystemHealth",
        tags=["operations"],
        summary="How the system is",
        description="What `manage.py doctor` looks at (the face engine apart), and the machine's and web layer's figures.",
        responses={200: HealthOut},
    )
    def get(self, request: Request) -> Answer:
        found = doctor.as_json(doctor.examine(heavy=False))
        return Answer({**found, "machine": vitals.machine(), "requests": vitals.requests()})
