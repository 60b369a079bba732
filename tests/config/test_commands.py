import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from common import invariants, jobs


@pytest.fixture
def no_jobs(monkeypatch):
    """An empty list of jobs to register into."""
    monkeypatch.setattr(jobs, "JOBS", {})


def run(*command, **options):
    output = StringIO()
    try:
        call_command(*command, stdout=output, **options)
    except CommandError as error:
        return output.getvalue(), str(error)
    return output.getvalue(), None


@pytest.mark.django_db
def test_run_due_runs_every_job_once():
    output, error = run("run_due", json=True)

    assert error is None
    assert set(json.loads(output)["ran"]) == set(jobs.JOBS)
    assert "common.deliver_outbox" in jobs.JOBS


@pytest.mark.django_db
def test_run_due_runs_what_is_named():
    output, error = run("run_due", only=["common.deliver_outbox"])

    assert (output, error) == ("common.deliver_outbox: 0\n", None)


@pytest.mark.django_db
def test_run_due_names_the_jobs_it_knows():
    _, error = run("run_due", only=["nonsense"])

    assert error.startswith("No such job: nonsense. There are: ")


@pytest.mark.django_db
def test_run_due_runs_the_others_when_one_fails(no_jobs):
    @jobs.periodic("a.fails", every="SWEEP_SECONDS")
    def fails():
        raise ValueError("broken")

    @jobs.periodic("b.works", every="SWEEP_SECONDS")
    def works():
        return 3

    output, error = run("run_due", json=True)

    assert json.loads(output) == {"ran": {"b.works": 3}, "failed": {"a.fails": "ValueError: broken"}}
    assert error == "1 of 2 jobs failed."


@pytest.mark.django_db
def test_check_invariants_holds_on_an_empty_shop():
    output, error = run("check_invariants", json=True)

    assert error is None
    assert json.loads(output)["ok"] is True


@pytest.mark.django_db
def test_check_invariants_fails_on_a_breach(monkeypatch):
    monkeypatch.setattr(invariants, "INVARIANTS", {"seats": lambda: ["Category X: 5 held, 4 counted."]})

    output, error = run("check_invariants", json=True)

    assert json.loads(output) == {"ok": False, "breaches": {"seats": ["Category X: 5 held, 4 counted."]}}
    assert error == "1 breaches."
