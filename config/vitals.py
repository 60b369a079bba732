"""The machine and the web layer in figures: memory, CPU, how fast requests are answered and how many fail."""

import os
from collections import defaultdict
from contextlib import suppress
from typing import Any

import psutil
from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


def machine() -> dict[str, Any]:
    """Return memory in MB, CPU in percent since the last call, load and the memory of each part of this site."""
    memory = psutil.virtual_memory()
    return {
        "cpu_percent": psutil.cpu_percent(),
        "cpus": psutil.cpu_count(),
        "load": [round(one, 2) for one in psutil.getloadavg()],
        "memory_percent": memory.percent,
        "memory_available_mb": megabytes(memory.available),
        "parts": parts(),
    }


def parts() -> dict[str, int]:
    """Return the resident memory in MB of each part that the process manager started here, children included."""
    found = {}
    for file in sorted((settings.DATA_DIR / "pids").glob("*.pid")):
        with suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int(file.read_text()))
            family = [process, *process.children(recursive=True)]
            found[file.stem] = megabytes(sum(member.memory_info().rss for member in family))
    return found


def megabytes(size: int) -> int:
    """Return a number of bytes in megabytes."""
    return round(size / 1_000_000)


def requests() -> dict[str, Any]:
    """
    Return how requests went since the web layer started: how many, the share of 5xx, and quantiles of the time in ms.

    A quantile is the upper bound of the histogram's bucket it falls into.
    """
    buckets: dict[float, float] = defaultdict(float)
    answered = failed = 0.0
    for sample in samples():
        if sample.name == "fairseat_requests_total":
            answered += sample.value
            failed += sample.value if sample.labels["status"].startswith("5") else 0
        elif sample.name == "fairseat_request_seconds_bucket":
            buckets[float(sample.labels["le"])] += sample.value
    return {
        "answered": int(answered),
        "failed": int(failed),
        "error_rate": round(failed / answered, 6) if answered else 0.0,
        **{name: quantile(buckets, share) for name, share in QUANTILES.items()},
    }


def samples() -> list[Any]:
    """Return the samples of every web process."""
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return [sample for metric in registry.collect() for sample in metric.samples]


def quantile(buckets: dict[float, float], share: float) -> float | None:
    """Return the bound in ms below which `share` of the requests lie, from cumulative buckets; None without requests."""
    total = max(buckets.values(), default=0)
    if not total:
        return None
    bound = min(bound for bound, count in buckets.items() if count >= share * total)
    return None if bound == float("inf") else round(bound * 1000, 1)
