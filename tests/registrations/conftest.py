"""Tasks run where they are asked for, after the commit, so that a test sees what a worker does."""

from collections.abc import Iterator

import pytest

from config.celery import app


@pytest.fixture
def worker_at_hand(transactional_db: None) -> Iterator[None]:
    """Let tasks run at once in this process; a test that uses it commits for real."""
    app.conf.update(task_always_eager=True)
    yield
    app.conf.update(task_always_eager=False)
