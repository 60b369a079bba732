import io
import json
import logging

import pytest
import structlog

from common import outbox
from config import logs
from tests.waiting import eventually


@pytest.fixture
def written():
    """Log with the project's formatter; returns a function that reads the lines back."""
    before = structlog.get_config()
    settings = logs.structlog_config(json=True, level="INFO")["formatters"]["ours"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(settings.pop("()")(**settings))
    logger = logging.getLogger("tests.logs")
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    structlog.configure(**before)  # loggers that were used before go on with what other tests listen to


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"password": "hunter2"}, {"password": "[hidden]"}),
        ({"refresh_token": "abc"}, {"refresh_token": "[hidden]"}),
        ({"headers": {"Authorization": "Bearer abc"}}, {"headers": {"Authorization": "[hidden]"}}),
        ({"reason": "no such user ana@demo.test"}, {"reason": "no such user [hidden]"}),
        ({"url": "postgresql://fairseat:pw@db/x"}, {"url": "postgresql://[hidden]@db/x"}),
        ({"why": "key sk_live_51abc_def refused"}, {"why": "key [hidden] refused"}),
        ({"code": "482913"}, {"code": "[hidden]"}),
        ({"code": "sold_out"}, {"code": "sold_out"}),
        ({"ms": 12.5, "ok": True, "none": None}, {"ms": 12.5, "ok": True, "none": None}),
    ],
)
def test_secrets_and_addresses_are_masked(written, given, expected):
    structlog.get_logger("tests.logs").info("happened", **given)

    (line,) = written()
    assert {name: line[name] for name in expected} == expected


def test_a_traceback_is_masked_too(written):
    try:
        raise ValueError("ana@demo.test has no ticket")
    except ValueError:
        structlog.get_logger("tests.logs").exception("crash")

    (line,) = written()
    assert "ValueError: [hidden] has no ticket" in line["exception"]


def test_lines_of_libraries_have_the_same_shape(written):
    logging.getLogger("tests.logs.library").warning("lost %s", "connection")

    (line,) = written()
    assert (line["event"], line["level"], line["logger"], line["role"]) == (
        "lost connection",
        "warning",
        "tests.logs.library",
        "command",
    )


@pytest.mark.django_db(transaction=True)
def test_the_request_id_arrives_in_the_worker(live_site):
    with structlog.contextvars.bound_contextvars(request_id="follow-me"):
        outbox.put(topic="nobody-handles-this", dedupe_key="request-id")

    def found():
        lines = [json.loads(line) for line in live_site.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == "outbox.failed" and line["request_id"] == "follow-me"]

    (line,) = eventually(found, what="the worker logged nothing with our request id")
    assert (line["role"], line["task"]) == ("worker", "common.deliver_outbox")
