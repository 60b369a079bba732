"""OpenAPI 3.1: the schema that is served, its browser, and the hooks that make it say what the wire says."""

import hashlib
import json
import re
from functools import lru_cache
from typing import Any

import yaml
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc

from config.renderers import camel

METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options"})
ERROR = {
    "type": "object",
    "required": ["status", "code", "message"],
    "properties": {
        "status": {"type": "string", "enum": ["fail", "error"], "description": "`fail` for 4xx, `error` for 5xx."},
        "code": {"type": "string", "description": "Stable; for programs."},
        "message": {"type": "string", "description": "For a person: what happened and what to do next."},
        "errors": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
            "description": "Per field, when fields are at fault.",
        },
    },
    "description": "A refusal or failure; some codes add fields of their own, for example `available` or `minimum`.",
}
PAGINATION = {
    "type": "object",
    "required": ["count", "next", "previous"],
    "properties": {
        "count": {"type": "integer", "description": "On all pages."},
        "next": {"type": ["string", "null"], "format": "uri"},
        "previous": {"type": ["string", "null"], "format": "uri"},
    },
}
PAGES = [
    {"in": "query", "name": "page", "schema": {"type": "integer", "minimum": 1}},
    {
        "in": "query",
        "name": "pageSize",
        "schema": {"type": "integer", "minimum": 1},
        "description": "20, at most 100.",
    },
]
# What an operation may be refused with, beside what its view names: status, description.
REFUSALS = {
    "400": "Something in the request is wrong; `errors` names the fields.",
    "401": "No access token, or one that is no longer valid.",
    "402": "The payment is not complete.",
    "403": "Not for this person.",
    "404": "There is nothing here, or it is not yours.",
    "409": "Not possible as things stand; `code` says why.",
    "410": "It was possible, and its time is over.",
    "413": "The body is too large.",
    "415": "The body is not in a format this address takes.",
    "422": "An Idempotency-Key that was used for another request.",
    "429": "Too many requests, or no tries left.",
    "5XX": "Our fault, or we are very busy (503). Nothing was lost; try again after `Retry-After`.",
}
WORDS = {"200": "Done.", "201": "Made.", "202": "Taken on.", "204": "Gone.", "304": "What you have still holds."}
RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}


class EnvelopeSchema(AutoSchema):
    """Describes each operation as drf-spectacular sees it; `describe_envelope` wraps the answers afterwards."""

    def get_description(self) -> str:
        """The description given for the operation; a view's docstring speaks of all its methods."""
        return get_doc(getattr(self.view, self.method.lower()))


class BearerScheme(OpenApiAuthenticationExtension):
    """`Authorization: Bearer <access>`."""

    target_class = "accounts.authentication.AccessTokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def describe_envelope(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Postprocessing hook: camelCase names, the success envelope, the one error body, the refusals of each operation."""
    components = result.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for schema in schemas.values():
        rename_properties(schema)
    schemas["Error"] = ERROR
    schemas["Pagination"] = PAGINATION
    components["responses"] = {f"Refusal{status}": refusal(status) for status in REFUSALS}
    result["paths"] = {camel_path(path): item for path, item in result["paths"].items()}
    for path, item in result["paths"].items():
        for method in METHODS & item.keys():
            describe_operation(path, method, item[method])
    result["tags"] = [
        {"name": tag} for tag in sorted({tag for item in result["paths"].values() for tag in tags_of(item)})
    ]
    return result


def tags_of(item: dict[str, Any]) -> set[str]:
    """Return the tags of all operations of one path."""
    return {tag for method in METHODS & item.keys() for tag in item[method].get("tags", [])}


def camel_path(path: str) -> str:
    """`/events/{event_id}` → `/events/{eventId}`."""
    return re.sub(r"{(\w+)}", lambda name: "{" + camel(name[1]) + "}", path)


def rename_properties(schema: Any) -> None:
    """Give a schema's properties, at any depth, their names on the wire."""
    if isinstance(schema, list):
        for part in schema:
            rename_properties(part)
        return
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("properties"), dict):
        schema["properties"] = {camel(name): value for name, value in schema["properties"].items()}
        if isinstance(schema.get("required"), list):
            schema["required"] = [camel(name) for name in schema["required"]]
    for value in schema.values():
        rename_properties(value)


def describe_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    """Complete one operation: parameter names, envelope, pages, refusals."""
    for parameter in operation.get("parameters", []):
        if parameter["in"] != "header":
            parameter["name"] = camel(parameter["name"])
        if parameter["in"] == "path" and parameter["name"].endswith("Id"):
            parameter["schema"] = {"type": "string", "format": "uuid"}
    is_list = wrap_successes(operation)
    if is_list and method == "get":
        known = {parameter["name"] for parameter in operation.get("parameters", [])}
        operation.setdefault("parameters", []).extend(page for page in PAGES if page["name"] not in known)
    named = {
        status for status, response in operation["responses"].items() if status >= "400" and "content" not in response
    }
    for status in refusals_of(path, method, operation) | named:
        operation["responses"][status] = {"$ref": f"#/components/responses/Refusal{status}"}
    operation["responses"] = dict(sorted(operation["responses"].items()))


def wrap_successes(operation: dict[str, Any]) -> bool:
    """Put each JSON success into the envelope, and say whether it is a list."""
    is_list = False
    for status, response in operation["responses"].items():
        response["description"] = response.get("description", "").replace("No response body", "") or WORDS.get(
            status, ""
        )
        if not status.startswith("2") or status == "204":
            continue
        content = response.setdefault("content", {"application/json": {"schema": {"type": "null"}}})
        if answer := content.get("application/json"):
            is_list = answer["schema"].get("type") == "array"
            answer["schema"] = envelope_schema(answer["schema"])
    return is_list


def envelope_schema(data: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the success envelope around `data`."""
    properties: dict[str, Any] = {"status": {"type": "string", "const": "success"}, "message": {"type": "string"}}
    required = ["status", "data"]
    if data.get("type") == "array":
        properties["results"] = {"type": "integer", "description": "How many are on this page."}
        properties["pagination"] = {"$ref": "#/components/schemas/Pagination"}
        required.append("results")
    return {"type": "object", "required": required, "properties": properties | {"data": data}}


def refusals_of(path: str, method: str, operation: dict[str, Any]) -> set[str]:
    """Return the statuses that follow from what kind of operation it is."""
    found = {"429", "5XX"}
    parameters = operation.get("parameters", [])
    writes = method not in {"get", "head", "options"}
    if parameters or writes:
        found.add("400")
    if operation.get("security"):
        found.add("401")
        if {} not in operation["security"]:
            found.add("403")
    if any(parameter["in"] == "path" or parameter["name"] in {"page", "pageSize"} for parameter in parameters):
        found.add("404")
    if writes:
        found |= {"403", "404", "409"}
    if "requestBody" in operation:
        found |= {"413", "415"}
    if any(parameter["name"] == "Idempotency-Key" for parameter in parameters):
        found.add("422")
    return found


def refusal(status: str) -> dict[str, Any]:
    """Return the description of one refusal."""
    described: dict[str, Any] = {
        "description": REFUSALS[status],
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    if status in {"429", "5XX"}:
        described["headers"] = RETRY_AFTER
    return described


@lru_cache(maxsize=2)
def served(form: str) -> tuple[bytes, str]:
    """Return the schema in one form, with its ETag; generated once per process, because code does not change while it runs."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    if form == "yaml":
        body = yaml.safe_dump(json.loads(json.dumps(document)), sort_keys=False, allow_unicode=True, width=120).encode()
    else:
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """The schema: JSON, or YAML with `?format=yaml`, `Accept: application/yaml` or the suffix `.yaml`."""
    accepts_yaml = "yaml" in request.headers.get("Accept", "") and "json" not in request.headers.get("Accept", "")
    asks_yaml = request.GET.get("format") == "yaml" or request.path_info.rstrip("/").endswith(".yaml")
    form = "yaml" if asks_yaml or accepts_yaml else "json"
    body, tag = served(form)
    response = get_conditional_response(request, etag=tag) or HttpResponse(body, content_type=f"application/{form}")
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "public, max-age=300"
    patch_vary_headers(response, ["Accept"])
    return response


@require_safe
def browser(request: HttpRequest) -> HttpResponse:
    """The schema's browser: Swagger UI from our own static files, started by a script of our own, so no inline code."""
    return render(request, "api/docs.html", {"title": settings.SPECTACULAR_SETTINGS["TITLE"]})
