"""Stripe's wire: requests with nested form bodies in, JSON objects and errors out."""

import json
import operator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

Params = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A request as the routes see it."""

    method: str
    path: str
    params: Params
    key: str  # the API key that was sent
    idempotency_key: str
    origin: str


@dataclass
class Reply:
    """An answer: JSON unless `content_type` says otherwise."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    def encoded(self) -> bytes:
        """Return the body's bytes."""
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(public(self.body), indent=2).encode()


class Refusal(Exception):
    """A request that had no effect, with the body Stripe would answer."""

    def __init__(self, status: int, message: str, *, kind: str = "invalid_request_error", **fields: Any) -> None:
        self.status = status
        self.body = {"error": {"type": kind, "message": message, **fields}}
        super().__init__(message)


def public(value: Any) -> Any:
    """Return `value` without the sandbox's own notes (keys that begin with an underscore)."""
    if isinstance(value, dict):
        return {key: public(item) for key, item in value.items() if not key.startswith("_")}
    if isinstance(value, list):
        return [public(item) for item in value]
    return value


def decode(form: str) -> Params:
    """
    Decode `metadata[a]=1&types[0]=card&expand[]=x` into nested dicts and lists.

    :raises Refusal: if it is malformed
    """
    tree: Params = {}
    for name, value in parse_qsl(form, keep_blank_values=True, max_num_fields=500):
        head, *rest = name.replace("]", "").split("[")
        if len(rest) > 8:
            raise Refusal(400, "Parameters are nested too deeply.")
        node: Params = tree
        for part, following in zip([head, *rest], [*rest, None], strict=True):
            key = part if part else str(len(node))
            if following is None:
                node[key] = value
                break
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise Refusal(400, f"Invalid parameter: {name}")
    return {key: with_lists(value) for key, value in tree.items()}


def with_lists(value: Any) -> Any:
    """Turn dicts numbered 0, 1, 2… into lists."""
    if not isinstance(value, dict):
        return value
    items = {key: with_lists(item) for key, item in value.items()}
    if items and list(items) == [str(number) for number in range(len(items))]:
        return list(items.values())
    return items


def whole_number(params: Params, name: str, *, low: int = 1) -> int:
    """
    Read a whole number.

    :raises Refusal: if it is none, or below `low`
    """
    text = str(params.get(name, ""))
    if not text.lstrip("-").isdigit():
        raise Refusal(400, f"Invalid integer: {text}", param=name, code="parameter_invalid_integer")
    if int(text) < low:
        raise Refusal(
            400, f"This value must be greater than or equal to {low}.", param=name, code="parameter_invalid_integer"
        )
    return int(text)


def only(params: Params, *names: str) -> None:
    """
    Accept only these parameters.

    :raises Refusal: as Stripe does, for any other
    """
    for name in params:
        if name not in names:
            raise Refusal(400, f"Received unknown parameter: {name}", param=name, code="parameter_unknown")


WITHIN = {"gte": operator.ge, "gt": operator.gt, "lte": operator.le, "lt": operator.lt}


def listing(url: str, items: list[Any], params: Params) -> Params:
    """Return a page of a list: `created` within `gte`, `gt`, `lte` and `lt`, `limit`, `starting_after`."""
    created = params.get("created")
    within: Params = created if isinstance(created, dict) else {}
    for name in within:
        if name not in WITHIN:
            raise Refusal(
                400, f"Received unknown parameter: created[{name}]", param="created", code="parameter_unknown"
            )
        moment = whole_number(within, name, low=0)
        items = [item for item in items if WITHIN[name](item["created"], moment)]
    if after := params.get("starting_after"):
        ids = [item["id"] for item in items]
        items = items[ids.index(after) + 1 :] if after in ids else []
    limit = min(100, whole_number(params, "limit")) if "limit" in params else 10
    return {"object": "list", "url": url, "has_more": len(items) > limit, "data": items[:limit]}


def currency_of(value: Any) -> str:
    """
    Read a currency.

    :raises Refusal: if it is none
    """
    text = str(value or "").lower()
    if len(text) != 3 or not text.isalpha():
        raise Refusal(400, f"Invalid currency: {text}.", param="currency")
    return text


def text_map(value: Any) -> dict[str, str]:
    """
    Read metadata: up to 50 short texts.

    :raises Refusal: if it is anything else
    """
    if not isinstance(value, dict) or len(value) > 50:
        raise Refusal(400, "Metadata is a map of at most 50 keys.", param="metadata")
    for key, text in value.items():
        if not isinstance(text, str) or len(key) > 40 or len(text) > 500:
            raise Refusal(400, f"Metadata values are texts of at most 500 characters: {key}", param="metadata")
    return value


def server_error() -> Reply:
    """Return what Stripe answers when something broke on its side."""
    return Reply(500, {"error": {"type": "api_error", "message": "An unknown error occurred."}})
