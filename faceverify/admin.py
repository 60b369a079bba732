"""Staff's view of face records: that they exist, since when and until when. No face, no vector, no key is shown here."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from common.admin import ReadOnlyAdmin, in_words
from faceverify.models import BiometricConsent, DeletionLog, FaceImage, FaceReference, FaceView, LivenessCheck


@admin.register(BiometricConsent)
class BiometricConsentAdmin(ReadOnlyAdmin):
    list_display = ["user", "policy_version", "language", "method", "given_at", "withdrawn_at"]
    list_filter = ["policy_version", "method"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    search_help_text = "Mail of the person"


@admin.register(FaceReference)
class FaceReferenceAdmin(ReadOnlyAdmin):
    list_display = ["user", "state", "engine", "photos", "created_at", "delete_after"]
    list_filter = ["engine"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    search_help_text = "Mail of the person"
    fields = [
        "user",
        "engine",
        "model_version",
        "photos",
        "created_at",
        "replaced_at",
        "kept_until",
        "delete_after",
        "forgotten_at",
    ]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("vector_encrypted", "crop_encrypted")

    @display(description="state", label={"current": "success", "replaced": "info", "forgotten": "default"})
    def state(self, reference: FaceReference) -> str:
        if reference.forgotten_at:
            return "forgotten"
        return "replaced" if reference.replaced_at else "current"


@admin.register(FaceImage)
class FaceImageAdmin(ReadOnlyAdmin):
    list_display = ["owner", "state", "created_at", "delete_after"]
    list_select_related = ["owner"]
    search_fields = ["owner__email"]
    search_help_text = "Mail of the person"
    fields = ["owner", "purpose", "created_at", "expires_at", "consumed_at", "delete_after", "deleted_at"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("fingerprint")

    @display(description="state", label={"waiting": "info", "used": "warning", "deleted": "default"})
    def state(self, image: FaceImage) -> str:
        if image.deleted_at:
            return "deleted"
        return "used" if image.consumed_at else "waiting"


@admin.register(LivenessCheck)
class LivenessCheckAdmin(ReadOnlyAdmin):
    list_display = ["user", "method", "created_at", "passed", "reason"]
    list_filter = ["method", "passed"]
    list_select_related = ["user"]
    fields = ["user", "method", "created_at", "expires_at", "finished_at", "passed", "reason", "used_at"]


@admin.register(FaceView)
class FaceViewAdmin(ReadOnlyAdmin):
    list_display = ["at", "staff", "subject", "kind", "reason"]
    list_select_related = ["staff", "subject"]
    search_fields = ["staff__email", "subject__email"]
    search_help_text = "Mail of who looked or was looked at"


@admin.register(DeletionLog)
class DeletionLogAdmin(ReadOnlyAdmin):
    list_display = ["at", in_words("what"), in_words("why"), "user_id"]
    list_filter = ["what", "why"]
