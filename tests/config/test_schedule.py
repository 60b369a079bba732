"""When periodic jobs run: rows that follow the code, that staff may change with a reason, and that beat then follows."""

import pytest
from django.conf import settings
from django_celery_beat.models import PeriodicTask

from accounts.models import StaffAction, User
from common.errors import Invalid, NotFound
from common.jobs import JOBS
from config import schedule
from config.beat import Scheduler
from config.celery import app
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "common.deliver_outbox"
LIST = "/admin/django_celery_beat/periodictask/"


def start_beat() -> Scheduler:
    """Start beat's scheduler as a new process does; the schedule it reads is the tables'."""
    app.loader.import_default_modules()
    app.conf.beat_schedule = schedule.entries()
    return Scheduler(app=app, lazy=False)


@pytest.fixture
def boss():
    return User.objects.create_superuser("boss@example.test")


def task(name=NAME):
    return PeriodicTask.objects.select_related("interval").get(name=name)


def test_every_job_is_a_row_at_its_standard_period():
    start_beat()

    rows = {row.name: row for row in PeriodicTask.objects.filter(task=schedule.TASK).select_related("interval")}
    assert rows.keys() == JOBS.keys()
    assert {name: row.interval.every for name, row in rows.items()} == {
        name: getattr(settings, job.every) for name, job in JOBS.items()
    }
    assert all(row.enabled and row.expire_seconds >= row.interval.every for row in rows.values())


def test_what_staff_set_outlives_a_start_of_beat_and_can_be_taken_back(boss):
    start_beat()

    schedule.set_schedule(name=NAME, actor_id=boss.pk, reason="Quiet night", seconds=77)
    schedule.set_schedule(name="bookings.expire_due", actor_id=boss.pk, reason="Disk work", enabled=False)
    running = start_beat()

    assert (task().interval.every, task().expire_seconds) == (77, 154)
    assert running.schedule[NAME].schedule.run_every.total_seconds() == 77
    assert "bookings.expire_due" not in running.schedule
    assert schedule.current_seconds()["bookings.expire_due"] is None
    schedule.set_standard(name=NAME, actor_id=boss.pk, reason="Morning")
    start_beat()
    assert task().interval.every == schedule.standard_seconds(NAME)
    actions = StaffAction.objects.filter(object_type="periodictask").order_by("id")
    assert [(one.object_id, one.after["seconds"], one.after["enabled"], one.reason) for one in actions] == [
        (NAME, 77, True, "Quiet night"),
        ("bookings.expire_due", schedule.standard_seconds("bookings.expire_due"), False, "Disk work"),
        (NAME, schedule.standard_seconds(NAME), True, "Morning"),
    ]


def test_beat_that_runs_follows_a_change(boss):
    running = start_beat()
    assert running.schedule[NAME].schedule.run_every.total_seconds() == schedule.standard_seconds(NAME)

    schedule.set_schedule(name=NAME, actor_id=boss.pk, reason="Test", seconds=99)

    assert running.schedule[NAME].schedule.run_every.total_seconds() == 99


def test_rows_of_jobs_that_are_gone_are_forgotten():
    start_beat()
    old = task()
    old.pk, old.name = None, "bookings.of_last_year"
    old.save()

    start_beat()

    assert not PeriodicTask.objects.filter(name="bookings.of_last_year").exists()


def test_a_change_needs_a_reason_a_period_and_a_job(boss):
    start_beat()

    with pytest.raises(Invalid, match="reason"):
        schedule.set_schedule(name=NAME, actor_id=boss.pk, reason=" ", seconds=5)
    for seconds in (0, -1, schedule.LONGEST + 1):
        with pytest.raises(Invalid, match="period"):
            schedule.set_schedule(name=NAME, actor_id=boss.pk, reason="x", seconds=seconds)
    with pytest.raises(NotFound):
        schedule.set_schedule(name="no.such_job", actor_id=boss.pk, reason="x", seconds=5)
    assert not StaffAction.objects.exists()


def test_staff_see_and_change_it_in_the_admin(client_for, boss):
    start_beat()
    browser, address = client_for(boss), f"{LIST}{task().pk}"

    listed = browser.get(LIST).content.decode()
    assert NAME in listed
    assert browser.get(f"{address}/change/").status_code == 200
    browser.post(f"{address}/period/", {"_form_submitted": "on", "seconds": "42", "reason": ""})
    assert task().interval.every == schedule.standard_seconds(NAME)
    browser.post(f"{address}/period/", {"_form_submitted": "on", "seconds": "42", "reason": "Slow provider"})
    assert task().interval.every == 42
    browser.post(f"{address}/pause/", {"_form_submitted": "on", "reason": "Provider down"})
    assert not task().enabled
    browser.post(f"{address}/resume/", {"_form_submitted": "on", "reason": "Provider back"})
    assert (task().enabled, task().interval.every) == (True, 42)
    browser.post(f"{address}/standard/", {"_form_submitted": "on", "reason": "All well"})
    assert (task().interval.every, task().description) == (schedule.standard_seconds(NAME), "")
    assert StaffAction.objects.filter(object_type="periodictask").count() == 4
    assert client_for(UserFactory()).get(LIST).status_code == 404
