"""`manage.py face_calibrate pairs.csv`: how often the engine errs on the operator's own pairs of photos."""

import csv
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.errors import FairseatError
from faceverify.engines import engine
from faceverify.engines.base import NormalisedImage
from faceverify.intake import normalise
from faceverify.refusals import EngineTrouble
from faceverify.services import default_threshold

THRESHOLDS = (50, 60, 70, 75, 80, 85, 90, 95, 99)
WORDS = {
    "1": True,
    "same": True,
    "yes": True,
    "true": True,
    "0": False,
    "different": False,
    "no": False,
    "false": False,
}


class Command(BaseCommand):
    help = (
        "Compare pairs of photos and print, for several thresholds, how many honest people would be refused (FRR) and how "
        "many strangers let in (FAR). The file has a line `one.jpg,other.jpg,same` or `…,different` per pair; paths are "
        "relative to it. Nothing is stored."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pairs", type=Path)

    def handle(self, *args: Any, pairs: Path, **options: Any) -> None:
        same: list[float] = []
        different: list[float] = []
        unusable = 0
        for one, other, is_same in read_pairs(pairs):
            try:
                similarity = compare_files(one, other)
            except EngineTrouble as error:
                raise CommandError(f"The engine does not work: {error.code}.") from error
            except FairseatError as error:
                unusable += 1
                self.stderr.write(f"{one.name}, {other.name}: {error.code}")
            else:
                (same if is_same else different).append(similarity)
        if not same or not different:
            raise CommandError("There must be usable pairs of both kinds: same and different.")
        self.stdout.write(f"{len(same)} pairs of one person, {len(different)} of two, {unusable} unusable")
        self.stdout.write("threshold    FRR %    FAR %  strangers accepted")
        for threshold in sorted({*THRESHOLDS, round(default_threshold())}):
            self.stdout.write(row(threshold, same, different))
        if not any(similarity >= default_threshold() for similarity in different):
            self.stdout.write(
                f"No stranger was accepted at {default_threshold():.0f}: with so many pairs the true FAR is below "
                f"{300 / len(different):.2g} % (95 % sure, if the pairs are independent)."
            )


def row(threshold: int, same: Sequence[float], different: Sequence[float]) -> str:
    """Return one line of the table."""
    refused = sum(similarity < threshold for similarity in same)
    accepted = sum(similarity >= threshold for similarity in different)
    return f"{threshold:9d} {100 * refused / len(same):8.2f} {100 * accepted / len(different):8.3f} {accepted:19d}"


def read_pairs(path: Path) -> Iterator[tuple[Path, Path, bool]]:
    """
    Yield the two files of each pair and whether they show one person.

    :raises CommandError: if the file can not be read that way
    """
    try:
        with path.open(newline="") as file:
            lines = [line for line in csv.reader(file) if line and not line[0].startswith("#")]
    except OSError as error:
        raise CommandError(f"{path} can not be read: {error.strerror}.") from error
    for number, line in enumerate(lines, 1):
        if len(line) != 3 or line[2].strip().lower() not in WORDS:
            raise CommandError(f"Line {number} of {path}: write `one.jpg,other.jpg,same` or `…,different`.")
        yield path.parent / line[0].strip(), path.parent / line[1].strip(), WORDS[line[2].strip().lower()]


def compare_files(one: Path, other: Path) -> float:
    """
    Return how alike the faces in two files are.

    :raises CommandError: if a file is not there
    :raises FairseatError: if a picture will not do
    """
    in_use = engine()
    return in_use.compare(in_use.enrol([taken_in(one)]), taken_in(other)).similarity


def taken_in(path: Path) -> NormalisedImage:
    """Return a file as the engine gets it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} can not be read: {error.strerror}.") from error
    return normalise(content, max_side=engine().max_side)
