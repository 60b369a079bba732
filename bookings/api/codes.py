"""The doors of codes and gifts: what a code does, an organiser's codes, tickets that staff give away."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.permissions import IsStaff
from bookings import services
from bookings.api.serializers import BookingOut, render_booking
from bookings.api.views import IDEMPOTENCY
from bookings.codes import guessers, spoken_code
from bookings.codes_csv import codes_csv
from bookings.models import SaleCode
from bookings.queries import get_booking_for, get_code_of, list_codes, look_up_code, only_category_of
from bookings.refusals import CodeUnknown
from bookings.services import Terms
from common.api import Answer, Input, Pages, idempotent, parse_id, read
from events.models import Event
from events.queries import get_event, get_event_to_change
from events.standing import Tier, standing_of


class TermsIn(Input):
    """What a code does; what is left out does not limit it."""

    protected = ("uses", "event_id", "created_by")

    percent = serializers.IntegerField(min_value=1, max_value=100, required=False, allow_null=True)
    off_minor = serializers.IntegerField(
        min_value=1, max_value=99_999_999, required=False, allow_null=True, help_text="Off each ticket, in minor units."
    )
    presale = serializers.BooleanField(required=False, help_text="Opens the sale, and hidden categories, early.")
    category_ids = serializers.ListField(child=serializers.UUIDField(), required=False, help_text="Empty: all.")
    max_uses = serializers.IntegerField(min_value=1, max_value=10**9, required=False, allow_null=True)
    per_person = serializers.IntegerField(min_value=1, max_value=30_000, required=False, allow_null=True)
    valid_from = serializers.DateTimeField(required=False, allow_null=True)
    valid_until = serializers.DateTimeField(required=False, allow_null=True)
    active = serializers.BooleanField(required=False)
    note = serializers.CharField(max_length=200, required=False, allow_blank=True)


class NewCodeIn(TermsIn):
    code = serializers.CharField(max_length=64, required=False, help_text="Left out: one that nobody guesses.")


class GenerateIn(TermsIn):
    count = serializers.IntegerField(min_value=1, max_value=5000)


class CodeOut(serializers.Serializer):
    id = serializers.UUIDField()
    code = serializers.CharField()
    percent = serializers.IntegerField(allow_null=True)
    off_minor = serializers.IntegerField(allow_null=True)
    presale = serializers.BooleanField()
    category_ids = serializers.ListField(child=serializers.UUIDField())
    max_uses = serializers.IntegerField(allow_null=True)
    uses = serializers.IntegerField(help_text="Tickets in live holds and bookings with it.")
    per_person = serializers.IntegerField(allow_null=True)
    valid_from = serializers.DateTimeField(allow_null=True)
    valid_until = serializers.DateTimeField(allow_null=True)
    active = serializers.BooleanField()
    note = serializers.CharField()
    created_at = serializers.DateTimeField()


class CheckedCategoryOut(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    price_minor = serializers.IntegerField(help_text="Of one ticket, without the code.")
    price_with_code_minor = serializers.IntegerField()
    applies = serializers.BooleanField()
    available = serializers.IntegerField(help_text="That can be had now with the code.")
    opens_at = serializers.DateTimeField(allow_null=True, help_text="While it can not be had, with the code either.")


class CheckOut(serializers.Serializer):
    works = serializers.BooleanField()
    problem = serializers.CharField(allow_null=True, help_text="Why it does nothing now: the code of the refusal.")
    message = serializers.CharField(allow_blank=True)
    percent = serializers.IntegerField(allow_null=True)
    off_minor = serializers.IntegerField(allow_null=True)
    presale = serializers.BooleanField()
    per_person = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField()
    categories = CheckedCategoryOut(many=True)


class CompIn(Input):
    protected = ("amount_minor", "price", "status", "source", "user_id")

    event_id = serializers.UUIDField(required=False)
    category_id = serializers.UUIDField(required=False, help_text="May be left out with one kind of ticket.")
    email = serializers.EmailField(max_length=254, help_text="Who has no account gets one, without a password.")
    name = serializers.CharField(max_length=150, required=False, allow_blank=True)
    quantity = serializers.IntegerField(min_value=1, max_value=1000, default=1)
    reason = serializers.CharField(max_length=500, help_text="Kept with your name.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "category_id" not in attrs and "event_id" not in attrs:
            raise serializers.ValidationError({"category_id": ["Say which tickets."]})
        return attrs


def render_code(code: SaleCode) -> dict[str, Any]:
    """Return a code, with its counter loaded, as it is on the wire."""
    names = ("percent", "off_minor", "presale", "category_ids", "per_person", "valid_from", "valid_until", "active")
    return {
        "id": code.pk,
        "code": spoken_code(code.code),
        **{name: getattr(code, name) for name in (*names, "note", "created_at")},
        "max_uses": code.counter.max_uses,
        "uses": code.counter.uses,
    }


def render_tier(tier: Tier, *, applies: bool) -> dict[str, Any]:
    """Return what a category costs with a code."""
    return {
        "id": tier.category.pk,
        "name": tier.category.name,
        "price_minor": tier.category.price_minor,
        "price_with_code_minor": tier.price_minor,
        "applies": applies,
        "available": tier.available,
        "opens_at": tier.opens_at,
    }


def terms_of(wish: dict[str, Any]) -> dict[str, Any]:
    """Return the terms in a validated body, as the services take them."""
    terms = {name: value for name, value in wish.items() if name in Terms.__dataclass_fields__}
    return terms | ({"category_ids": tuple(terms["category_ids"])} if "category_ids" in terms else {})


def own_event(request: Request, event_id: str) -> Event:
    """Load an event whose codes the caller may see and change: its organiser, or staff who manage events."""
    return get_event_to_change(event_id=parse_id(event_id, "event"), viewer=request.user)


class CheckCodeView(APIView):
    permission_classes = [AllowAny]
    throttle_scope = "booking"

    @extend_schema(
        operation_id="checkCode",
        tags=["codes"],
        summary="What a code would do for an event",
        description="Nothing is taken. Codes that do not exist are counted: after some of them it answers 429.",
        parameters=[OpenApiParameter("code", str, required=True)],
        responses=CheckOut,
        auth=[{}, {"bearer": []}],
    )
    def get(self, request: Request, event_id: str) -> Answer:
        now = timezone.now()
        event = get_event(event_id=parse_id(event_id, "event"), viewer_id=request.user.pk)
        typed = request.query_params.get("code", "")[:64]
        word = look_up_code(event_id=event.pk, typed=typed, who=guessers(request), now=now)
        code = word.code
        if code is None:
            raise word.problem or CodeUnknown()
        standing = standing_of(event, now=now, code=word)
        return Answer(
            {
                "works": word.works,
                "problem": word.problem.code if word.problem else None,
                "message": word.problem.text if word.problem else "",
                "percent": code.percent,
                "off_minor": code.off_minor,
                "presale": code.presale,
                "per_person": code.per_person,
                "currency": event.currency,
                "categories": [render_tier(tier, applies=word.is_for(tier.category.pk)) for tier in standing.tiers],
            }
        )


class CodesView(APIView):
    """An organiser's codes: GET lists, POST makes one."""

    @extend_schema(operation_id="listCodes", tags=["codes"], summary="Codes of my event", responses=CodeOut(many=True))
    def get(self, request: Request, event_id: str) -> Answer:
        pages = Pages()
        page = pages.paginate_queryset(list_codes(own_event(request, event_id).pk), request, view=self) or []
        return pages.get_paginated_response([render_code(code) for code in page])

    @extend_schema(
        operation_id="createCode",
        tags=["codes"],
        summary="Make a code",
        request=NewCodeIn,
        responses={201: CodeOut},
        parameters=[IDEMPOTENCY],
    )
    def post(self, request: Request, event_id: str) -> Answer:
        event = own_event(request, event_id)
        wish = read(NewCodeIn, request)

        def make() -> Answer:
            code = services.create_code(
                event_id=event.pk, actor_id=request.user.pk, terms=Terms(**terms_of(wish)), code=wish.get("code", "")
            )
            return Answer(render_code(code), status=201)

        return idempotent(request, make)


class GenerateCodesView(APIView):
    @extend_schema(
        operation_id="generateCodes",
        tags=["codes"],
        summary="Make many codes at once, each for one ticket unless `maxUses` says more",
        request=GenerateIn,
        responses={201: CodeOut(many=True)},
        parameters=[IDEMPOTENCY],
    )
    def post(self, request: Request, event_id: str) -> Answer:
        event = own_event(request, event_id)
        wish = read(GenerateIn, request)

        def make() -> Answer:
            codes = services.generate_codes(
                event_id=event.pk, actor_id=request.user.pk, terms=Terms(**terms_of(wish)), count=wish["count"]
            )
            return Answer([render_code(code) for code in codes], status=201)

        return idempotent(request, make)


class CodesFileView(APIView):
    @extend_schema(
        operation_id="getCodesFile",
        tags=["codes"],
        summary="Codes of my event as CSV",
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR)},
    )
    def get(self, request: Request, event_id: str) -> HttpResponse:
        event = own_event(request, event_id)
        name = f"codes-{event.pk}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
        return HttpResponse(codes_csv(list_codes(event.pk)), content_type="text/csv; charset=utf-8", headers=headers)


class CodeView(APIView):
    """One code: show, change, delete."""

    @extend_schema(operation_id="getCode", tags=["codes"], summary="One code", responses=CodeOut)
    def get(self, request: Request, event_id: str, code_id: str) -> Answer:
        return Answer(render_code(self.own(request, event_id, code_id)))

    @extend_schema(
        operation_id="updateCode",
        tags=["codes"],
        summary="Change what a code does, or switch it off",
        description="What is sent changes, the rest stays. Bookings made with the code keep their price.",
        request=TermsIn,
        responses=CodeOut,
    )
    def patch(self, request: Request, event_id: str, code_id: str) -> Answer:
        code = self.own(request, event_id, code_id)
        changes = terms_of(read(TermsIn, request))
        return Answer(render_code(services.update_code(code_id=code.pk, actor_id=request.user.pk, **changes)))

    @extend_schema(
        operation_id="deleteCode", tags=["codes"], summary="Delete a code that was never used", responses={204: None}
    )
    def delete(self, request: Request, event_id: str, code_id: str) -> Answer:
        services.delete_code(code_id=self.own(request, event_id, code_id).pk, actor_id=request.user.pk)
        return Answer(status=204)

    def own(self, request: Request, event_id: str, code_id: str) -> SaleCode:
        return get_code_of(event_id=own_event(request, event_id).pk, code_id=parse_id(code_id, "code"))


class CompsView(APIView):
    permission_classes = [IsStaff]
    staff_permission = "bookings.issue_comps"

    @extend_schema(
        operation_id="giveComp",
        tags=["admin"],
        summary="Give tickets away",
        description="The seats are taken like any others. Where faces are checked, the person is invited to be verified first.",
        request=CompIn,
        responses={201: BookingOut},
        parameters=[IDEMPOTENCY],
    )
    def post(self, request: Request) -> Answer:
        wish = read(CompIn, request)
        return idempotent(request, lambda: self.give(request, dict(wish)))

    def give(self, request: Request, wish: dict[str, Any]) -> Answer:
        event_id: UUID | None = wish.pop("event_id", None)
        if "category_id" not in wish and event_id is not None:
            wish["category_id"] = only_category_of(event_id=event_id)
        given = services.give_comp(actor_id=request.user.pk, **wish)
        booking = get_booking_for(user_id=given.user_id, booking_id=given.pk)
        return Answer(render_booking(booking), status=201)
