"""The doors of faces: translate, call a service, render."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.api import Answer, parse_id, read
from faceverify import services
from faceverify.api import parsers
from faceverify.api import serializers as wire
from faceverify.models import LivenessCheck
from faceverify.policy import current_policy
from faceverify.queries import get_check_for
from faceverify.refusals import NotAnUpload

UNPROCESSABLE = OpenApiResponse(OpenApiTypes.OBJECT, "The picture is one we have seen before, or not of one person.")


class UploadView(APIView):
    """A door that takes pictures, and says so to whoever sends something else."""

    parser_classes: list[Any] = [parsers.UploadParser]

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, UnsupportedMediaType):
            exc = NotAnUpload()
        return super().handle_exception(exc)


class ProfilePhotoView(UploadView):
    @property
    def throttle_scope(self) -> str | None:
        return "face" if self.request.method == "PUT" else None

    @extend_schema(
        operation_id="getProfilePhoto",
        tags=["faces"],
        responses=wire.ProfilePhotoOut,
        summary="Whether my face is enrolled, and the text to agree to",
    )
    def get(self, request: Request) -> Answer:
        return Answer(profile_photo(request))

    @extend_schema(
        operation_id="putProfilePhoto",
        tags=["faces"],
        request=wire.PhotoIn,
        responses={200: wire.ProfilePhotoOut, 422: UNPROCESSABLE},
        summary="Enrol my face with one to three photos",
        description="A further enrolment must look like the first. The photos themselves are not kept.",
    )
    def put(self, request: Request) -> Answer:
        wish = read(wire.PhotoIn, request)
        person = request.user.person
        if wish["consent"]:
            services.give_consent(
                user_id=person.pk, policy_version=wish["text_version"], language=wish["language"], method="api"
            )
        services.enrol(user_id=person.pk, photos=[photo.read() for photo in wish["photo"]])
        return Answer(profile_photo(request), message="Your profile photo is set.")

    @extend_schema(
        operation_id="deleteProfilePhoto",
        tags=["faces"],
        responses={200: wire.ProfilePhotoOut},
        summary="Withdraw my consent: every face of mine is deleted, my tickets stay",
    )
    def delete(self, request: Request) -> Answer:
        services.withdraw_consent(user_id=request.user.person.pk)
        return Answer(profile_photo(request), message="Everything we had of your face is deleted. Your tickets stay.")


class FaceImagesView(UploadView):
    throttle_scope = "face"

    @extend_schema(
        operation_id="uploadFaceImage",
        tags=["faces"],
        request=wire.ImageIn,
        responses={201: wire.FaceImageOut, 422: UNPROCESSABLE},
        summary="Upload a photo to be checked; its key can be used once, by me, for a short time",
    )
    def post(self, request: Request) -> Answer:
        upload = read(wire.ImageIn, request)["image"]
        image = services.store_probe(user_id=request.user.person.pk, content=upload.read())
        return Answer(wire.render_image(image), status=201)


class PresignView(APIView):
    throttle_scope = "face"

    @extend_schema(
        operation_id="presignFaceImage",
        tags=["faces"],
        request=None,
        responses={201: wire.UploadOut},
        summary="Make a key and an address to upload a photo to S3 directly (409 where there is no S3)",
    )
    def post(self, request: Request) -> Answer:
        image, upload = services.presign_probe(user_id=request.user.person.pk)
        return Answer(wire.render_image(image) | {"url": upload["url"], "fields": upload["fields"]}, status=201)


class LivenessCheckView(UploadView):
    parser_classes = [parsers.FramesParser]
    throttle_scope = "face"

    @extend_schema(
        operation_id="finishFaceCheck",
        tags=["faces"],
        request=wire.FramesIn,
        responses={200: wire.LivenessResultOut},
        summary="Send the frames of a head turn, or fetch how a liveness session ended; works once",
    )
    def post(self, request: Request, check_id: str) -> Answer:
        person = request.user.person
        check = get_check_for(user_id=person.pk, check_id=parse_id(check_id, "check"))
        if check.method == LivenessCheck.Method.REKOGNITION:
            return Answer(wire.render_result(services.finish_liveness(user_id=person.pk, check_id=check.pk)))
        frames = [frame.read() for frame in read(wire.FramesIn, request)["frames"]]
        done = services.finish_pose_challenge(user_id=person.pk, check_id=check.pk, frames=frames)
        return Answer(wire.render_result(done))


def profile_photo(request: Request) -> dict[str, Any]:
    """Return what a person may know about their enrolled face, as it is now."""
    user_id = request.user.person.pk
    return wire.render_profile_photo(
        services.current_reference(user_id=user_id), services.consent_of(user_id=user_id), current_policy()
    )
