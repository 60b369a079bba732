"""The profile photo and what is done with faces, as pages. The layer above builds its face step from the same pieces."""

from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import limits
from common.errors import FairseatError
from common.pages import Problem, Problems, form_problems, members_only, next_path, page
from faceverify import queries, services
from faceverify.forms import PhotosForm
from faceverify.policy import current_policy
from faceverify.refusals import AGAIN, ConsentOutdated, EngineTrouble

# What people read when a picture will not do: what we saw, and what helps.
SEEN = {
    "face_none": "We couldn’t see a face. Look into the camera, with your whole face inside the oval.",
    "face_many": "We saw more than one face. Make sure that you are alone in the picture.",
    "face_small": "Your face is too small in the picture. Come closer.",
    "face_unclear": "We couldn’t see your face well. Take off what covers it and look into the camera.",
    "face_dark": "It’s too dark. Face a window or a lamp.",
    "face_bright": "It’s too bright. Step out of the direct light.",
    "face_flat": "There is too little contrast to see your face. Change the light.",
    "face_blurry": "It’s blurry. Hold still and clean the lens.",
    "face_turned": "Your head was turned. Look straight into the camera.",
    "face_covered": "Something covers your face. Take it off for the photo.",
    "engine_refused": "This picture was not taken. Please make another one.",
    "same_photo": "That is a photo we have seen before. Take a new one.",
    "image_invalid": "We couldn’t read that picture. Send a JPEG or PNG.",
    "image_too_large": "That picture is too large. Choose a smaller one.",
    "profile_photo_outdated": "Please add your profile photo again: the way faces are compared has changed.",
}
AWAY = "The face check is not answering at the moment. Nothing was stored. Try again in a minute."


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def photo(request: HttpRequest) -> HttpResponse:
    """The profile photo: what is done with it, consent, the camera; later replacing and deleting it."""
    if request.method != "POST":
        return render(request, "faces/photo.html", photo_context(request))
    form = photos_form(request)
    try:
        problems = enrol(request, form)
    except ConsentOutdated as error:
        return read_again(request, error)
    if problems:
        return answer(request, "faces/photo.html", photo_context(request, form), problems)
    messages.success(request, "Your profile photo is set. Event checks compare with it from now on.")
    return moved(request, next_path(request, reverse("profile-photo")))


@require_POST
@members_only
def delete_photo(request: HttpRequest) -> HttpResponse:
    """Forget the face; consent stays, so another photo can follow."""
    services.forget_reference(user_id=request.user.pk, why="deleted_by_owner")
    messages.success(request, "Your profile photo is deleted. Your tickets stay yours.")
    return redirect("profile-photo")


@require_POST
@members_only
def withdraw(request: HttpRequest) -> HttpResponse:
    """Withdraw consent, in one click: every face of the person goes, every ticket stays."""
    services.withdraw_consent(user_id=request.user.pk)
    messages.success(
        request, "You withdrew your consent. Everything about your face is deleted; your tickets stay yours."
    )
    return redirect("profile-photo")


@require_safe
@page
def transparency(request: HttpRequest) -> HttpResponse:
    """What this shop does with faces: engine, threshold, measured errors, retention, processor, contact."""
    facts = queries.transparency()
    context = {
        "facts": facts,
        "paragraphs": facts.policy.text.split("\n\n"),
        "contact": parseaddr(settings.DEFAULT_FROM_EMAIL)[1],
    }
    response = render(request, "faces/transparency.html", context)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


# -- Pieces that every face step shares -------------------------------------------------------------------------------


def photos_form(request: HttpRequest) -> PhotosForm:
    """Return the form of photos as sent, or an empty one; it asks for consent if the text in force has none yet."""
    policy = current_policy()
    consent = services.consent_of(user_id=request.user.pk)
    has_consent = consent is not None and consent.policy_version == policy.version
    if request.method != "POST":
        return PhotosForm(policy=policy, has_consent=has_consent)
    return PhotosForm(request.POST, request.FILES, policy=policy, has_consent=has_consent)


def photo_context(request: HttpRequest, form: PhotosForm | None = None) -> dict[str, Any]:
    """Return what a page with the form of photos shows."""
    facts = queries.transparency()
    return {
        "form": form or photos_form(request),
        "facts": facts,
        "paragraphs": facts.policy.text.split("\n\n"),
        "consent": services.consent_of(user_id=request.user.pk),
        "reference": services.current_reference(user_id=request.user.pk),
        "megabytes": settings.FACE_MAX_BYTES // 1_048_576,
        "next": next_path(request),
        "section": "profile",
    }


def enrol(request: HttpRequest, form: PhotosForm) -> Problems | None:
    """
    Write down the consent and enrol the photos of a form; return what is wrong, None when all is well.

    :raises ConsentOutdated: if the text changed while it was read: `read_again`
    """
    limits.check(request, scope="face")
    if not form.is_valid():
        return form_problems(form)
    try:
        if "consent" in form.fields:
            services.give_consent(
                user_id=request.user.pk, policy_version=form.cleaned_data["text_version"], method="checkbox"
            )
        services.enrol(user_id=request.user.pk, photos=form.photos)
    except ConsentOutdated:
        raise
    except FairseatError as error:
        return refusal(error)
    return None


def read_again(request: HttpRequest, error: ConsentOutdated) -> HttpResponse:
    """Show the page anew, with the text that is in force and nothing ticked."""
    messages.warning(request, error.text)
    return moved(request, request.get_full_path())


def refusal(error: FairseatError) -> Problems:
    """Return a refusal to enrol photos in the words of the pages."""
    if isinstance(error, EngineTrouble):
        return Problems("We could not look at it", [Problem(AWAY)])
    return Problems(
        "Please take another photo", [Problem(SEEN.get(error.code, error.text.removesuffix(AGAIN).strip()))]
    )


def wants_json(request: HttpRequest) -> bool:
    """Whether the camera's script asks, rather than a form."""
    return not request.accepts("text/html") and request.accepts("application/json")


def answer(
    request: HttpRequest, template: str, context: dict[str, Any], problems: Problems, status: int = 400
) -> HttpResponse:
    """Show a page again with what went wrong, or only that to the camera's script, which stays where it is."""
    if wants_json(request):
        told = [{"text": problem.text, "field": problem.field} for problem in problems.items]
        return JsonResponse({"title": problems.title, "problems": told}, status=status)
    return render(request, template, context | {"problems": problems}, status=status)


def moved(request: HttpRequest, address: str) -> HttpResponse:
    """Send a browser on; the camera's script is told where."""
    return JsonResponse({"next": address}) if wants_json(request) else HttpResponseRedirect(address)
