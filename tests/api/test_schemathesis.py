"""
Whatever the schema allows, and much that it does not, is answered without one 5xx and as the schema says.

Schemathesis makes the requests, bounded and the same every time, and sends them through the whole WSGI application: as nobody
with ids that lead nowhere, and as people of every kind with ids that lead to something.
"""

import json
from typing import Any
from uuid import uuid4

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.utils import timezone
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.authentication import issue_access_token
from bookings.models import Ticket
from bookings.services import confirm_booking, hold_seats
from config.schema import served
from registrations.services import create_registration
from tests.factories import EventFactory, OrganiserFactory, StaffFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db
EXAMPLES = 8
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

schema = schemathesis.openapi.from_dict(json.loads(served("json")[0]))
schema.app = get_wsgi_application()
schema.config.phases.coverage.enabled = False
schema.config.generation.modes = list(GenerationMode)
bounded = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.fixture(autouse=True)
def _one_connection():
    """Keep the test's connection, and so its transaction, through every request."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def send(case: Any, person: Any = None) -> None:
    """Send one generated request, as this person, and check the answer against the schema."""
    headers = {"Accept-Encoding": "identity"}
    if person is not None:
        headers["Authorization"] = f"Bearer {issue_access_token(user=person, now=timezone.now())}"
    response = case.call(app=schema.app, base_url="http://localhost", headers=headers)
    case.validate_response(response, checks=CHECKS)


@schema.parametrize()
@bounded
def test_nobody_breaks_nothing(case):
    send(case)


@pytest.fixture(params=["buyer", "organiser", "staff"])
def world(request) -> dict[str, Any]:
    """A person of one kind, and real rows for the ids in paths: theirs, where such people have any."""
    person = {"buyer": UserFactory, "organiser": OrganiserFactory, "staff": StaffFactory}[request.param]()
    event = EventFactory(created_by=person if request.param == "organiser" else None)
    category = TicketCategoryFactory(event=event, capacity=5)
    sold = hold_seats(user_id=person.pk, category_id=category.pk, quantity=2)
    confirm_booking(booking_id=sold.pk)
    hold = hold_seats(user_id=person.pk, category_id=TicketCategoryFactory().pk, quantity=1)
    return {
        "person": person,
        "eventId": str(event.pk),
        "bookingId": str(hold.pk),
        "userId": str(person.pk),
        "reference": sold.reference,
        "code": Ticket.objects.filter(booking=sold).first().code,
        "checkId": str(uuid4()),
        "registrationId": str(create_registration(user_id=person.pk, event_id=event.pk).pk),
    }


@schema.parametrize()
@bounded
def test_people_break_nothing(case, world):
    for name in case.path_parameters or {}:
        case.path_parameters[name] = world.get(name, case.path_parameters[name])
    send(case, world["person"])
