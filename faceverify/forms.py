"""Forms of the face pages. They check shape only; whether a picture will do is decided by the services."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from faceverify.policy import Policy
from faceverify.refusals import ImageTooLarge


class PhotoField(forms.FileField):
    """One picture of a face, as bytes. Its name and Content-Type say nothing and are not looked at."""

    def __init__(self, *, capture: bool = False, **rest: Any) -> None:
        attributes = {"accept": "image/jpeg,image/png"} | ({"capture": "user"} if capture else {})
        missing = "Take a photo or choose a file first."
        super().__init__(
            widget=forms.FileInput(attrs=attributes),
            allow_empty_file=True,
            error_messages={"required": missing, "invalid": missing, "missing": missing},
            **rest,
        )

    def clean(self, data: UploadedFile | None, initial: Any = None) -> bytes:
        file = super().clean(data, initial)
        if not file:
            return b""
        if file.size > settings.FACE_MAX_BYTES:
            raise forms.ValidationError(ImageTooLarge.message, code=ImageTooLarge.code)
        return bytes(file.read())


class PhotosForm(forms.Form):
    """One to three photos for the profile, with consent to the text that was shown unless it is in force already."""

    consent = forms.BooleanField(
        label="I have read this and I agree",
        error_messages={"required": "We look at your face only if you agree. Tick the box, or ask a person instead."},
    )
    photo_1 = PhotoField(label="Photo of your face")
    photo_2 = PhotoField(label="Second photo", required=False)
    photo_3 = PhotoField(label="Third photo", required=False)
    text_version = forms.CharField(widget=forms.HiddenInput, max_length=64, required=False)

    def __init__(self, data: Any = None, files: Any = None, *, policy: Policy, has_consent: bool) -> None:
        super().__init__(data, files, initial={"text_version": policy.version})
        if has_consent:
            del self.fields["consent"], self.fields["text_version"]

    @property
    def photo_fields(self) -> list[forms.BoundField]:
        """The inputs for pictures, for the part of the page that the camera fills."""
        return [self[name] for name in ("photo_1", "photo_2", "photo_3")]

    @property
    def photos(self) -> list[bytes]:
        """The pictures that were sent, in their order."""
        names = ("photo_1", "photo_2", "photo_3")
        return [self.cleaned_data[name] for name in names if self.cleaned_data.get(name)]


class SelfieForm(forms.Form):
    """One picture to be checked."""

    photo = PhotoField(label="Photo of your face", capture=True)

    @property
    def photo_fields(self) -> list[forms.BoundField]:
        """The input for the picture, for the part of the page that the camera fills."""
        return [self["photo"]]
