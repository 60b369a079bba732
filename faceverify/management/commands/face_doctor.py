"""`manage.py face_doctor`: does the engine work on this machine? Drawn faces only; nothing is stored."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from faceverify import drawings
from faceverify.engines import engine
from faceverify.intake import normalise
from faceverify.refusals import EngineTrouble, FaceMany, FaceNone, QualityRefusal
from faceverify.services import default_threshold
from faceverify.system_checks import check_engine, check_keys, check_pillow

ANA, BEN = drawings.DIFFERENT[0]


class Command(BaseCommand):
    help = "Draw two people, let the engine look at them, and say whether it tells them apart and how long it takes."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        for problem in [*check_engine(None), *check_keys(None), *check_pillow(None)]:
            if problem.is_serious():
                raise CommandError(f"{problem.msg} {problem.hint or ''}".strip())
        in_use = engine()
        self.stdout.write(f"Engine {in_use.name} ({in_use.model_version}), threshold {default_threshold():.0f}")
        try:
            self.look()
        except EngineTrouble as error:
            raise CommandError(f"The engine does not work: {error.code} ({error.__cause__ or 'no answer'}).") from error

    def look(self) -> None:
        """
        Enrol one drawn person, compare both, and show what came of it.

        :raises CommandError: if the engine finds the wrong one alike, or lets a bad picture pass
        """
        in_use = engine()
        started = time.perf_counter()
        reference = in_use.enrol([self.taken_in(drawings.photo(ANA))])
        self.stdout.write(f"First look, with loading: {self.since(started)} ms")
        results = {}
        for name, person in (("same person", ANA), ("another person", BEN)):
            image = self.taken_in(drawings.photo(person, 1))
            started = time.perf_counter()
            results[name] = in_use.compare(reference, image).similarity
            self.stdout.write(f"{name}: similarity {results[name]:.1f}, {self.since(started)} ms")
        for content, refusal in ((drawings.nobody(), FaceNone), (drawings.two_people(2, BEN), FaceMany)):
            try:
                in_use.compare(reference, self.taken_in(content))
            except QualityRefusal as refused:
                if type(refused) is not refusal:
                    raise CommandError(f"Expected {refusal.code}, got {refused.code}.") from refused
                self.stdout.write(f"refused as it should be: {refused.code}")
            else:
                raise CommandError(f"A picture passed that should be refused with {refusal.code}.")
        if not results["another person"] < default_threshold() <= results["same person"]:
            raise CommandError("The engine does not tell the two apart.")
        self.stdout.write(self.style.SUCCESS("It works."))

    def taken_in(self, content: bytes) -> Any:
        """Return a picture as the engine gets it."""
        return normalise(content, max_side=engine().max_side)

    def since(self, started: float) -> int:
        """Return how many milliseconds have passed."""
        return round((time.perf_counter() - started) * 1000)
