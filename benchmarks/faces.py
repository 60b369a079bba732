"""
How long a face check takes and what it costs in memory, with the local engine and drawn faces.

    .venv/bin/python -m benchmarks.faces [--seconds 20]

One process, one core, as a worker does it: take a picture in, find the face, judge it, embed it, compare it. Prints
the median of each step in wall and CPU time (they differ on a busy machine), pictures a second, and the process's memory before
and after.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any
from uuid import UUID

import django
import psutil

from faceverify import drawings, vault
from faceverify.engines import engine
from faceverify.engines.local import MODELS
from faceverify.intake import normalise

OWNER = UUID(int=1)
WANTED_RATE, WANTED_MEMORY = 4.0, 200  # pictures a second and core, MB a worker


def memory() -> float:
    """Return what this process occupies, in MB."""
    return psutil.Process().memory_info().rss / 1_048_576


def measure(act: Callable[[], Any], seconds: float) -> tuple[float, float, int]:
    """Repeat `act` for some seconds and return the medians of wall and CPU time in ms, and how often it ran."""
    walls, cpus = [], []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(walls) < 5:
        wall, cpu = time.perf_counter(), time.process_time()
        act()
        walls.append((time.perf_counter() - wall) * 1000)
        cpus.append((time.process_time() - cpu) * 1000)
    return statistics.median(walls), statistics.median(cpus), len(walls)


def draw_upload(person: int) -> bytes:
    """Return a photo as a telephone sends it, a few megapixels."""
    return drawings.as_jpeg(drawings.draw(person).resize((1536, 1920)))


def main(seconds: float) -> None:
    os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": "1"}
    django.setup()
    psutil.Process().cpu_affinity([psutil.Process().cpu_affinity()[0]])
    in_use = engine()
    before = memory()
    with ProcessPoolExecutor(1) as elsewhere:  # what drawing needs is no memory of a worker
        uploads = list(elsewhere.map(draw_upload, (0, 2, 9, 12)))
    images = [normalise(upload, max_side=in_use.max_side) for upload in uploads]
    started = time.perf_counter()
    template = in_use.enrol(images[:1])
    loaded = time.perf_counter() - started
    face = MODELS.find(images[0].pixels)[0]
    sealed = vault.seal(template, user_id=OWNER, keep_crop=True)
    turns = iter(range(10**9))

    def whole_check() -> None:
        upload = uploads[next(turns) % len(uploads)]
        known = vault.unseal(sealed, user_id=OWNER)
        in_use.compare(known, normalise(upload, max_side=in_use.max_side))

    steps: dict[str, Callable[[], Any]] = {
        "take in (3 megapixels)": lambda: normalise(uploads[0], max_side=in_use.max_side),
        "find, points, quality": lambda: in_use.analyse(images[0]),
        "embed": lambda: MODELS.embed(face),
        "unseal": lambda: vault.unseal(sealed, user_id=OWNER),
        "whole check": whole_check,
    }
    print(f"first look, with loading the models: {loaded * 1000:.0f} ms")
    print(f"{'step':26}{'wall ms':>10}{'CPU ms':>9}{'n':>6}")
    figures = {}
    for name, act in steps.items():
        figures[name] = measure(act, seconds / len(steps))
        print(f"{name:26}{figures[name][0]:10.1f}{figures[name][1]:9.1f}{figures[name][2]:6d}")
    wall, cpu, _ = figures["whole check"]
    now = memory()
    print(
        f"pictures a second of CPU: {1000 / cpu:.1f} ({1000 / cpu / WANTED_RATE:.2f} of the {WANTED_RATE:.0f} wanted)"
    )
    print(f"this machine was so busy that wall time was {wall / cpu:.2f} times the CPU time")
    print(f"memory: {before:.0f} MB with Django, {now:.0f} MB after checks")
    print(f"        {now / WANTED_MEMORY:.2f} of the {WANTED_MEMORY} MB allowed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20)
    main(parser.parse_args().seconds)
