"""The served schema is the code's, is valid OpenAPI 3.1, and leaves nothing out."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver
from openapi_spec_validator import OpenAPIV31SpecValidator

from config.aliases import ALIASES

COMMITTED = Path(settings.BASE_DIR) / "docs" / "openapi.yaml"
NOT_OPERATIONS = {"schema", "schema.yaml", "docs"}  # the schema itself and its browser
METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture
def schema(api):
    status, document = api.get("/api/schema")
    assert status == 200
    return document


def test_committed_schema_is_what_the_code_says(tmp_path):
    call_command("spectacular", "--file", str(tmp_path / "openapi.yaml"), "--validate", "--fail-on-warn")

    assert (tmp_path / "openapi.yaml").read_text() == COMMITTED.read_text(), (
        "The API changed. Look at the difference, then: manage.py spectacular --file docs/openapi.yaml"
    )


def test_schema_is_valid_openapi_31(schema):
    assert schema["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(schema).validate()


def test_schema_is_served_as_json_and_yaml_under_both_bases(api, schema):
    for path, accept in (
        ("/api/v1/schema?format=yaml", "*/*"),
        ("/api/schema.yaml", "*/*"),
        ("/api/schema", "application/yaml"),
    ):
        _, text = api.get(path, Accept=accept)
        assert yaml.safe_load(text) == schema
        assert api.last.headers["Content-Type"] == "application/yaml"
    tag = api.last.headers["ETag"]
    assert api.get("/api/schema.yaml", If_None_Match=tag).status == 304


@cache
def api_routes():
    """Return every route below `/api/v1/` as it stands in the URL configuration."""

    def walk(patterns, prefix=""):
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, route)
            elif isinstance(pattern, URLPattern):
                yield route

    routes = walk(get_resolver().url_patterns)
    found = {route.removeprefix("api/v1/") for route in routes if route.startswith("api/v1/")}
    return frozenset(route.rstrip("/") for route in found if "[" not in route)


def test_every_route_is_in_the_schema_or_an_alias(schema):
    described = {path.removeprefix("/api/v1/") for path in schema["paths"]}

    routes = {
        re.sub(r"<(?:\w+:)?(\w+)>", lambda name: "{" + camel(name[1]) + "}", route) for route in api_routes() - ALIASES
    }

    assert routes - NOT_OPERATIONS == described
    assert routes >= NOT_OPERATIONS


def camel(name):
    return re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)


def operations(schema):
    for path, item in schema["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


def test_every_operation_is_described(schema):
    ids = []
    for path, method, operation in operations(schema):
        where = f"{method} {path}"
        ids.append(operation["operationId"])
        assert operation.get("summary"), where
        assert operation.get("tags"), where
        assert any(status.startswith(("2", "3")) for status in operation["responses"]), where
        refusals = {status for status in operation["responses"] if status.startswith(("4", "5"))}
        assert {"429", "5XX"} <= refusals, where
        if any(parameter["in"] == "path" for parameter in operation.get("parameters", [])):
            assert "404" in refusals, where
        if operation.get("security") == [{"bearer": []}]:
            assert {"401", "403"} <= refusals, where

    assert len(ids) == len(set(ids))
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_names_are_camel_case_everywhere(schema):
    names = {
        parameter["name"]
        for _, _, operation in operations(schema)
        for parameter in operation.get("parameters", [])
        if parameter["in"] != "header"
    }
    names |= set(re.findall(r"{(\w+)}", " ".join(schema["paths"])))

    def properties(node):
        if isinstance(node, dict):
            names.update(node.get("properties", {}))
            for value in node.values():
                properties(value)
        elif isinstance(node, list):
            for value in node:
                properties(value)

    properties(schema["components"])

    assert sorted(name for name in names if "_" in name) == []
    assert {"eventId", "totalTickets", "minPrice", "pageSize"} <= names


def test_successes_are_in_the_envelope(schema):
    for path, method, operation in operations(schema):
        for status, response in operation["responses"].items():
            answer = response.get("content", {}).get("application/json")
            if status.startswith("2") and answer:
                assert {"status", "data"} <= set(answer["schema"]["required"]), f"{method} {path}"


@pytest.mark.django_db
def test_browser_of_the_schema_runs_no_inline_code(api):
    status, page = api.get("/api/docs")

    text = page.decode()
    policy = api.last.headers["Content-Security-Policy"]
    assert status == 200
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<script(?! src=)", text) == []
    assert re.findall(r"<style|style=|\son\w+=", text) == []
    assert re.findall(r"(?:src|href)=\"(?!/)", text) == []


def test_schema_is_small_enough_to_read(schema):
    assert len(json.dumps(schema)) < 1_000_000
