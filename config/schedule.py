"""
The schedule of periodic jobs as rows that staff see and change.

Jobs are written in code (`common.jobs`), with a standard period from the settings. Beat's rows follow the code at every start,
except where staff set a period or paused a job: their choice stays until they take it back.
"""

from typing import Any

from django.conf import settings
from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from accounts.services import record_staff_action
from common.errors import Invalid, NotFound
from common.jobs import JOBS

TASK = "common.run_job"
BY_STAFF = "Set by staff: "
LONGEST = 7 * 86_400


class NoSuchJob(NotFound):
    message = "There is no such periodic job."


class BadPeriod(Invalid):
    code = "bad_period"
    message = "Write a period between 1 second and 7 days."


class ReasonRequired(Invalid):
    code = "reason_required"
    message = "Write a reason: it is kept with your name."


def expiry(seconds: int) -> int:
    """Return after how many seconds a run that no worker took is dropped: the next one would do its work twice."""
    return max(5, 2 * seconds)


def standard_seconds(name: str) -> int:
    """Return the period that the settings give a job."""
    return int(getattr(settings, JOBS[name].every))


def entries() -> dict[str, dict[str, Any]]:
    """Return beat's entries at their standard periods."""
    return {
        job.name: {
            "task": TASK,
            "schedule": float(standard_seconds(job.name)),
            "kwargs": {"name": job.name},
            "options": {"expire_seconds": expiry(standard_seconds(job.name))},
        }
        for job in JOBS.values()
    }


def is_staffs(task: PeriodicTask) -> bool:
    """Whether staff decided how this job runs."""
    return task.description.startswith(BY_STAFF)


def chosen_by_staff() -> set[str]:
    """Return the names of the jobs whose rows stay as staff set them."""
    return set(PeriodicTask.objects.filter(task=TASK, description__startswith=BY_STAFF).values_list("name", flat=True))


def forget_old_jobs() -> int:
    """Delete the rows of jobs that the code no longer has, and return how many there were."""
    gone = PeriodicTask.objects.filter(task=TASK).exclude(name__in=JOBS)
    for task in gone:
        task.delete()  # one by one: its signal tells beat to read again
    return len(gone)


def current_seconds() -> dict[str, int | None]:
    """Return every job's period as it runs now; None for a paused one."""
    found: dict[str, int | None] = {name: standard_seconds(name) for name in JOBS}
    for task in PeriodicTask.objects.filter(task=TASK, name__in=JOBS).select_related("interval"):
        if not task.enabled:
            found[task.name] = None
        elif task.interval is not None:
            found[task.name] = int(task.interval.schedule.run_every.total_seconds())
    return found


@transaction.atomic
def set_schedule(
    *, name: str, actor_id: Any, reason: str, seconds: int | None = None, enabled: bool | None = None
) -> PeriodicTask:
    """
    Give a job another period, pause it or let it run again, and write down who did it and why.

    :raises NoSuchJob: if there is none of that name
    :raises BadPeriod, ReasonRequired: if that can not be
    """
    task = locked(name, reason)
    before = facts(task)
    if seconds is not None:
        put_period(task, seconds)
    if enabled is not None:
        task.enabled = enabled
    task.description = f"{BY_STAFF}{reason.strip()}"
    return written(task, actor_id, before, reason)


@transaction.atomic
def set_standard(*, name: str, actor_id: Any, reason: str) -> PeriodicTask:
    """
    Let a job run as the settings say again.

    :raises NoSuchJob: if there is none of that name
    :raises ReasonRequired: if there is no reason
    """
    task = locked(name, reason)
    before = facts(task)
    put_period(task, standard_seconds(name))
    task.enabled, task.description = True, ""
    return written(task, actor_id, before, reason)


def locked(name: str, reason: str) -> PeriodicTask:
    """Load and lock a job's row."""
    if not reason.strip():
        raise ReasonRequired
    task = PeriodicTask.objects.select_for_update(of=("self",)).filter(task=TASK, name=name).first()
    if task is None or name not in JOBS:
        raise NoSuchJob
    return task


def put_period(task: PeriodicTask, seconds: int) -> None:
    """Set a row's period; a run that nobody took expires with it."""
    if not 1 <= seconds <= LONGEST:
        raise BadPeriod
    task.interval, _ = IntervalSchedule.objects.get_or_create(every=seconds, period=IntervalSchedule.SECONDS)
    task.crontab = task.solar = task.clocked = None
    task.expire_seconds = expiry(seconds)


def facts(task: PeriodicTask) -> dict[str, Any]:
    """Return how a job runs, for the audit."""
    seconds = int(task.interval.schedule.run_every.total_seconds()) if task.interval else None
    return {"seconds": seconds, "enabled": task.enabled}


def written(task: PeriodicTask, actor_id: Any, before: dict[str, Any], reason: str) -> PeriodicTask:
    """Save a row, so that beat reads it within its next turns, and write the change down."""
    task.save()
    record_staff_action(
        actor_id=actor_id,
        action="change_schedule",
        object_type="periodictask",
        object_id=task.name,
        before=before,
        after=facts(task),
        reason=reason.strip(),
    )
    return task
