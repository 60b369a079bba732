"""What every API view shares: the answer with its envelope, pages of a list, idempotent POSTs."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from rest_framework import serializers
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response

from common.errors import Invalid
from common.idempotency import once


class Answer(Response):
    """A success: `data` is put into the envelope by the renderer, beside the optional `message`."""

    def __init__(
        self, data: Any = None, *, message: str = "", status: int = 200, headers: dict[str, str] | None = None
    ):
        super().__init__(data, status=status, headers=headers)
        self.message = message
        self.page: dict[str, Any] | None = None
        self.results: int | None = None  # set where the list stands under a name inside `data`


class Pages(PageNumberPagination):
    """Pages of a list: `?page=2&pageSize=50`; the envelope gets `results` and `pagination`."""

    page_size = 20
    max_page_size = 100
    page_size_query_param = "pageSize"

    def get_paginated_response(self, data: Any) -> Answer:
        assert self.page is not None  # paginate_queryset has run
        answer = Answer(data)
        answer.page = {
            "count": self.page.paginator.count,
            "next": self.get_next_link(),
            "previous": self.get_previous_link(),
        }
        return answer


class BadId(Invalid):
    code = "invalid_id"


def parse_id(text: str, what: str) -> UUID:
    """
    Read an id from a path.

    :raises BadId: if it is no UUID (S1's error table: `Invalid event ID format`)
    """
    try:
        return UUID(text)
    except (ValueError, AttributeError, TypeError):
        raise BadId(f"Invalid {what} ID format") from None


def idempotent(request: Request, act: Callable[[], Answer]) -> Answer:
    """Run `act` under the request's Idempotency-Key, if it has one; a replay says so in `Idempotency-Replayed`."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return act()

    def stored() -> tuple[int, Any]:
        answer = act()
        return answer.status_code, {"data": plain(answer.data), "message": answer.message}

    status, answer, replayed = once(
        key=key,
        owner=str(request.user.pk or request.META.get("REMOTE_ADDR")),
        method=request.method or "POST",
        path=request.path,
        body=request.data,
        act=stored,
    )
    headers = {"Idempotency-Replayed": "true"} if replayed else None
    return Answer(answer["data"], message=answer["message"], status=status, headers=headers)


def plain(data: Any) -> Any:
    """Return `data` as JSON would hold it, so that a first answer and its replay are the same."""
    return json.loads(json.dumps(data, cls=DjangoJSONEncoder))


class ProtectedField(Invalid):
    code = "protected_field"


class Input(serializers.Serializer):
    """
    Input of a POST, PUT or PATCH. Names in `protected` belong to the server: sending one is refused, never ignored silently,
    because whoever sends it believes it has an effect.
    """

    protected: tuple[str, ...] = ()

    def to_internal_value(self, data: Any) -> Any:
        for name in self.protected:
            if isinstance(data, dict) and name in data:
                raise ProtectedField(
                    f"`{name}` is decided by Fairseat, not by the client.", errors={name: ["Leave this field out."]}
                )
        return super().to_internal_value(data)


@cache
def bound(serializer: type[serializers.Serializer]) -> serializers.Serializer:
    """Return the one instance that validates bodies of this kind; validating keeps nothing in it."""
    return serializer()


def read(serializer: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    """
    Return the request's body as `serializer` validates it.

    :raises rest_framework.exceptions.ValidationError: with an entry per wrong field
    """
    return bound(serializer).run_validation(request.data)
