"""The pool hands out no connection whose server has hung up."""

from copy import deepcopy

import pytest
from django.db import connection

from common.postgres.base import DatabaseWrapper

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pooled():
    """A database wrapper with a pool of one connection."""
    wanted = deepcopy(connection.settings_dict) | {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}
    wanted["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 1, "timeout": 5}
    wrapper = DatabaseWrapper(wanted, alias="pooled")
    yield wrapper
    wrapper.close()
    wrapper.close_pool()


def server_process(wrapper):
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    wrapper.close()
    return pid


def test_pooled_connection_is_used_again(pooled):
    assert server_process(pooled) == server_process(pooled)


def test_connection_that_the_server_ended_is_replaced_before_anybody_uses_it(pooled):
    dead = server_process(pooled)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [dead])

    assert server_process(pooled) != dead


def test_without_the_look_the_dead_connection_is_handed_out(pooled, monkeypatch):
    """The control: a plain pool gives the next request the connection that the server has ended."""
    monkeypatch.setattr("common.postgres.base.hung_up", lambda connection: False)
    dead = server_process(pooled)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [dead])

    with pytest.raises(pooled.Database.OperationalError), pooled.cursor() as cursor:
        cursor.connection.execute("SELECT 1")
