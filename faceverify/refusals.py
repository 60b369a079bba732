"""
The ways a picture or a check may be refused, each with its stable code.

`QualityRefusal` is about the picture, `EngineTrouble` about us: neither says anything about whose face it is, so neither uses
up one of a person's tries.
"""

from common.errors import Conflict, FairseatError, Forbidden, Invalid, NotFound, TooMany, Unavailable, Unprocessable

AGAIN = "This did not use up a try."


class ConsentRequired(Forbidden):
    code = "consent_required"
    message = "We need your consent before we look at your face. You can also ask a person instead."


class ConsentOutdated(Conflict):
    code = "consent_outdated"
    message = "The text about your face data has changed. Please read it again."


class ImageInvalid(Invalid):
    code = "image_invalid"
    message = "We can not read that picture. Send a JPEG or PNG."


class ImageTooLarge(FairseatError):
    status = 413
    code = "image_too_large"
    message = "That picture is too large."


class NotAnUpload(FairseatError):
    status = 415
    code = "unsupported_media_type"
    message = "Send the picture as multipart form data: `Content-Type: multipart/form-data`."


class ImageNotFound(NotFound):
    code = "image_not_found"
    message = "There is no such picture, it was used already, or its time is over. Upload it again."


class UploadPending(Conflict):
    code = "image_not_uploaded"
    message = "The picture has not arrived in the store yet. Upload it first."


class NoDirectUploads(Conflict):
    code = "direct_upload_unavailable"
    message = "This shop has no direct uploads. Send the picture to /face-images."


class TooManyAnalyses(TooMany):
    code = "too_many_images"
    message = "Too many pictures in a short time. Wait a moment and try again."


class ProfilePhotoMissing(Conflict):
    code = "profile_photo_missing"
    message = "Add a profile photo first."


class ProfilePhotoOutdated(Conflict):
    code = "profile_photo_outdated"
    message = "Please add your profile photo again: the way faces are compared has changed."


class PhotosCount(Invalid):
    code = "photos_count"
    message = "Send one to three photos."


class PhotosDiffer(Unprocessable):
    code = "photos_differ"
    message = "These photos do not look like one person. Send photos of yourself only."


class FaceChanged(Conflict):
    code = "face_changed"
    message = "This does not look like the face on file. Ask a person to help you change it."


class SamePhoto(Unprocessable):
    code = "same_photo"
    message = f"That is a photo we have seen before. Take a new one. {AGAIN}"


class ViewRefused(Forbidden):
    code = "may_not_see_faces"
    message = "Only staff who review verifications may look at faces, and only with a reason."


# -- The picture ------------------------------------------------------------------------------------------------------


class QualityRefusal(Invalid):
    """The picture will not do. `reasons` lists every code that applies, the first is this error's own."""

    code = "face_unusable"
    message = f"This picture will not do. {AGAIN}"


class FaceNone(QualityRefusal):
    code = "face_none"
    message = "No face detected in the image"


class FaceMany(QualityRefusal):
    code = "face_many"
    message = "Multiple faces detected"


class FaceSmall(QualityRefusal):
    code = "face_small"
    message = f"Your face is too small in the picture. Come closer. {AGAIN}"


class FaceUnclear(QualityRefusal):
    code = "face_unclear"
    message = f"We are not sure that this is a face. Take off what covers it and look into the camera. {AGAIN}"


class FaceDark(QualityRefusal):
    code = "face_dark"
    message = f"It's too dark. Face a window or a lamp. {AGAIN}"


class FaceBright(QualityRefusal):
    code = "face_bright"
    message = f"It's too bright. Step out of the direct light. {AGAIN}"


class FaceFlat(QualityRefusal):
    code = "face_flat"
    message = f"There is too little contrast to see your face. Change the light. {AGAIN}"


class FaceBlurry(QualityRefusal):
    code = "face_blurry"
    message = f"It's blurry. Hold still and clean the lens. {AGAIN}"


class FaceTurned(QualityRefusal):
    code = "face_turned"
    message = f"Look straight into the camera. {AGAIN}"


class FaceCovered(QualityRefusal):
    code = "face_covered"
    message = f"Something covers your face. Take it off for the photo. {AGAIN}"


QUALITY = {
    kind.code: kind
    for kind in (
        FaceNone,
        FaceMany,
        FaceSmall,
        FaceUnclear,
        FaceDark,
        FaceBright,
        FaceFlat,
        FaceBlurry,
        FaceTurned,
        FaceCovered,
    )
}


# -- The engine -------------------------------------------------------------------------------------------------------


class EngineTrouble(Unavailable):
    """The engine gave no usable answer; nothing was counted."""

    code = "engine_unavailable"
    message = "Face verification service error"


class EngineUnavailable(EngineTrouble):
    """It is away, slow or overloaded: trying again later helps."""


class EngineMisconfigured(EngineTrouble):
    """Only an operator can help: credentials, permissions, model files."""

    code = "engine_misconfigured"


class EngineRefused(QualityRefusal):
    """The provider did not take a picture that we found nothing wrong with."""

    code = "engine_refused"
    message = f"The face service did not take this picture. Take another one. {AGAIN}"


# -- Head turns and liveness ------------------------------------------------------------------------------------------


class LivenessNotFound(NotFound):
    code = "liveness_not_found"
    message = "That check does not exist, is over, or is not yours. Start again."


class LivenessRequired(Invalid):
    code = "liveness_required"
    message = (
        "This event asks whether a person is before the camera. Begin with POST /registrations/{id}/face-checks, answer it, "
        "and send the faceImageKey you get within three minutes. Each serves one try."
    )


class LivenessPending(Conflict):
    code = "liveness_pending"
    message = "The check is not finished yet."


class LivenessLocked(TooMany):
    code = "liveness_locked"
    message = "Too many tries. Wait half an hour, or ask a person instead."
