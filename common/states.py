"""State machines: one table of transitions per model, one door through which its status changes."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Q

from common.errors import IllegalTransition


@dataclass(frozen=True)
class Step:
    """One named transition: from any of `sources` to `target`."""

    sources: tuple[str, ...]
    target: str


class Stateful(models.Model):
    """
    A model whose `status` changes only along `TRANSITIONS`.

    The change is one guarded UPDATE (`… WHERE status IN (sources) AND <when>`), so of two racing transitions exactly one
    wins; a database trigger generated from the same table may refuse every other path (bookings do).
    """

    TRANSITIONS: ClassVar[dict[str, Step]] = {}

    class Meta:
        abstract = True

    def transition(self, name: str, *, when: Q | None = None, **changes: Any) -> Self:
        """
        Move this row along the transition `name` and set `changes` in the same statement.

        :raises IllegalTransition: if the row is no longer in a source status or `when` does not hold
        """
        step = self.TRANSITIONS[name]
        guard = Q(pk=self.pk, status__in=step.sources) & (when or Q())
        if not type(self)._default_manager.filter(guard).update(status=step.target, **changes):
            raise IllegalTransition(f"Can not {name} this {self._meta.verbose_name}: it has moved on.")
        self.status = step.target
        for field, value in changes.items():
            if not hasattr(value, "resolve_expression"):
                setattr(self, field, value)
        return self
