"""A client of the API as a test reads it: `status, body = api.post("/api/v1/bookings", {…})`."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.authentication import issue_access_token


class Reply(NamedTuple):
    """An answer: unpacks into status and body; `Api.last` is the whole response, with its headers."""

    status: int
    body: Any


class Api:
    """Speaks JSON, and for one person when it has a bearer token; errors of the server become answers, as for a real client."""

    def __init__(self, token: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.token = token
        self.headers = dict(headers or {})
        self.client = Client(raise_request_exception=False)
        self.last: HttpResponse | None = None

    def as_user(self, user: Any) -> "Api":
        """Return a client with an access token of `user`."""
        return Api(issue_access_token(user=user, now=timezone.now()), self.headers)

    def with_token(self, token: str) -> "Api":
        """Return a client with this access token."""
        return Api(token, self.headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send one request; header names are written with underscores (`Idempotency_Key="…"`)."""
        given = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            given.setdefault("Authorization", f"Bearer {self.token}")
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = given.pop("Content-Type", "application/json" if content else "")
        self.last = self.client.generic(method, path, content, content_type=kind, headers=given)
        raw = b"".join(self.last.streaming_content) if self.last.streaming else self.last.content
        is_json = "json" in self.last.headers.get("Content-Type", "")
        return Reply(self.last.status_code, json.loads(raw) if raw and is_json else raw or None)

    def get(self, path: str, **headers: str) -> Reply:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Reply:
        return self.send("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Reply:
        return self.send("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Reply:
        return self.send("PATCH", path, body, **headers)

    def delete(self, path: str, body: Any = None, **headers: str) -> Reply:
        return self.send("DELETE", path, body, **headers)
