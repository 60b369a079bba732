"""JSON at the rim: S1's envelope, camelCase out, camelCase or snake_case in."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder

ENCODER = JSONEncoder()  # for what orjson does not know itself: Decimal, timedelta, lazy strings


@lru_cache(maxsize=4096)
def camel(key: str) -> str:
    """`sale_starts_at` → `saleStartsAt`."""
    head, *tail = key.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in tail) if head else key


@lru_cache(maxsize=4096)
def snake(key: str) -> str:
    """`saleStartsAt` → `sale_starts_at`; snake_case stays as it is."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()


def with_keys(value: Any, convert: Any) -> Any:
    """Return `value` with every key of every mapping inside it converted."""
    if isinstance(value, Mapping):
        return {convert(key) if isinstance(key, str) else key: with_keys(item, convert) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_keys(item, convert) for item in value]
    return value


class EnvelopeRenderer(JSONRenderer):
    """Puts successes into `{"status": "success", "data": …}`; errors arrive ready from `config.api.render_error`."""

    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        response = (renderer_context or {}).get("response")
        if response is None or response.status_code in {204, 304}:
            return b""
        body = with_keys(data, camel)
        if response.status_code < 400:
            body = envelope(body, response)
        return orjson.dumps(body, default=ENCODER.default, option=orjson.OPT_UTC_Z)


def envelope(body: Any, response: Any) -> dict[str, Any]:
    """Return the success envelope around `body`."""
    whole: dict[str, Any] = {"status": "success"}
    if message := getattr(response, "message", ""):
        whole["message"] = message
    if isinstance(body, list):
        whole["results"] = len(body)
    elif (results := getattr(response, "results", None)) is not None:
        whole["results"] = results  # a list that S1 puts under a name of its own
    if page := getattr(response, "page", None):
        whole["pagination"] = page
    whole["data"] = body
    return whole


class CamelCaseParser(JSONParser):
    """Reads a JSON object; keys may be camelCase or snake_case."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            raw = stream.read()
            body = orjson.loads(raw) if raw else {}
        except orjson.JSONDecodeError:
            raise ParseError("The body is no valid JSON.") from None
        if not isinstance(body, dict):
            raise ParseError("The body must be a JSON object.")
        return with_keys(body, snake)


class AlwaysJson(BaseContentNegotiation):
    """The API speaks JSON whatever `Accept` says; views with other formats choose them by path."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        content_type = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == content_type), None)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type
