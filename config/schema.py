"""OpenAPI: the served schema says what the wire says (camelCase, envelope, error bodies)."""

from typing import Any

from drf_spectacular.openapi import AutoSchema

from config.renderers import camel

ERROR = {
    "type": "object",
    "required": ["status", "code", "message"],
    "properties": {
        "status": {"type": "string", "enum": ["fail", "error"]},
        "code": {"type": "string", "description": "Stable; for programs."},
        "message": {"type": "string", "description": "For a person: what happened and what to do next."},
        "errors": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
            "description": "Per field, when fields are at fault.",
        },
    },
}


class EnvelopeSchema(AutoSchema):
    """Describes each operation as drf-spectacular sees it; `describe_envelope` wraps the answers afterwards."""


def describe_envelope(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Postprocessing hook: camelCase names, the success envelope, and the one error body everywhere."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    for schema in schemas.values():
        rename_properties(schema)
    schemas["Error"] = ERROR
    for path in result["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "responses" in operation:
                wrap_responses(operation)
    return result


def rename_properties(schema: dict[str, Any]) -> None:
    """Give a schema's properties their names on the wire."""
    if "properties" in schema:
        schema["properties"] = {camel(name): value for name, value in schema["properties"].items()}
    if "required" in schema:
        schema["required"] = [camel(name) for name in schema["required"]]


def wrap_responses(operation: dict[str, Any]) -> None:
    """Put each JSON success into the envelope and describe the errors an operation can answer with."""
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get("application/json")
        if content and status.startswith("2"):
            content["schema"] = envelope_schema(content.get("schema", {}))
    operation["responses"].setdefault(
        "default",
        {
            "description": "A refusal or failure.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        },
    )


def envelope_schema(data: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the success envelope around `data`."""
    properties: dict[str, Any] = {
        "status": {"type": "string", "const": "success"},
        "message": {"type": "string"},
        "data": data,
    }
    if data.get("type") == "array":
        properties["results"] = {"type": "integer", "description": "How many are on this page."}
        properties["pagination"] = {
            "type": "object",
            "properties": {
                "count": {"type": "integer"},
                "next": {"type": ["string", "null"], "format": "uri"},
                "previous": {"type": ["string", "null"], "format": "uri"},
            },
        }
    return {"type": "object", "required": ["status", "data"], "properties": properties}
