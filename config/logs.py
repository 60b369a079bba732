"""
Logs: one JSON object a line on stderr, with the request's id from the web process into the worker's tasks.

Nothing that opens an account or names a person gets out: values under tell-tale names and anything that looks like a key, a
token or an e-mail address are masked on the way.
"""

import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from celery import signals

SECRET_NAMES = re.compile(
    r"pass(word|wd)?$|secret|token|authori[sz]ation|cookie|api_?key|signature|^otp$|^code$|e-?mail|^to$|phone|dsn", re.I
)
SECRET_SHAPES = re.compile(
    r"(?P<mail>[\w.+%-]+@[\w-]+(\.[\w-]+)+)"
    r"|(?P<bearer>\bBearer\s+\S+)"
    r"|(?P<jwt>\beyJ[\w-]{10,}\.[\w-]+\.[\w-]*)"
    r"|(?P<key>\b(?:sk|rk|pk|whsec|pi)_[A-Za-z0-9]+_[\w]+|\bwhsec_\w+)"
    r"|(?P<login>(?<=://)[^/@\s:]*:[^/@\s]+(?=@))"
)
MASK = "[hidden]"
DEEPEST = 6


def structlog_config(*, json: bool, level: str) -> dict[str, Any]:
    """Configure structlog and return the LOGGING setting that sends everything else through the same chain."""
    before = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_role,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last = (
        structlog.processors.JSONRenderer(ensure_ascii=False) if json else structlog.dev.ConsoleRenderer(colors=False)
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "ours": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*before, structlog.stdlib.ExtraAdder()],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    hide_secrets,
                    last,
                ],
            }
        },
        "filters": {"crashes": {"()": OnlyCrashes}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "ours", "stream": sys.stderr}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"handlers": [], "level": level},
            # Our own request line says that an answer was 4xx or 5xx; Django adds only the traceback of a crash.
            "django.request": {"filters": ["crashes"]},
            "celery": {"level": max_level("WARNING", level)},
            "kombu": {"level": max_level("WARNING", level)},
            "django_celery_beat": {"level": max_level("WARNING", level)},
            "stripe": {"level": max_level("WARNING", level)},
        },
    }


class OnlyCrashes(logging.Filter):
    """Lets records with a traceback through."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.exc_info is not None


def max_level(one: str, other: str) -> str:
    """Return the quieter of two levels."""
    return max(one, other, key=lambda name: logging.getLevelNamesMapping()[name])


def add_role(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Say which process speaks."""
    event["role"] = os.environ.get("ROLE", "command")
    return event


def hide_secrets(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Mask what must not be read by whoever reads logs."""
    return {name: masked(name, value) for name, value in event.items()}


def masked(name: str, value: Any, depth: int = 0) -> Any:
    """Return `value` with its secrets masked, as it is named or as it looks."""
    if SECRET_NAMES.search(name) and value not in (None, "", True, False) and not is_error_code(name, value):
        return MASK
    if isinstance(value, str):
        return SECRET_SHAPES.sub(MASK, value)
    if depth >= DEEPEST:
        return MASK
    if isinstance(value, Mapping):
        return {str(key): masked(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [masked("", item, depth + 1) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return SECRET_SHAPES.sub(MASK, str(value))


def is_error_code(name: str, value: Any) -> bool:
    """Whether this is one of the contract's error codes (`sold_out`), not one that opens something."""
    return name == "code" and isinstance(value, str) and value.replace("_", "").isalpha() and value.islower()


# -- The request's id through Celery ----------------------------------------------------------------------------------


@signals.before_task_publish.connect
def pack_request_id(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Send the id of the request (or task) that publishes a task along with it."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if headers is not None and request_id:
        headers["request_id"] = request_id


@signals.task_prerun.connect
def unpack_request_id(task: Any = None, task_id: str = "", **_: Any) -> None:
    """Let every line that a task logs carry the id it came with."""
    structlog.contextvars.clear_contextvars()
    request_id = getattr(task.request, "request_id", None)
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id, request_id=request_id or task_id)


@signals.task_postrun.connect
def forget_request_id(**_: Any) -> None:
    """Leave nothing for the next task of this process."""
    structlog.contextvars.clear_contextvars()


# -- Error reports ----------------------------------------------------------------------------------------------------


def report_errors(dsn: str) -> None:
    """Send crashes to Sentry when an operator gave its address: no bodies, no cookies, no people, secrets masked."""
    if not dsn:
        return
    import sentry_sdk

    sentry_sdk.init(
        dsn=dsn,
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,
        before_send=lambda event, hint: masked("", event, depth=-8),
        before_breadcrumb=lambda crumb, hint: None,
    )
