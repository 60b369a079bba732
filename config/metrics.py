"""Prometheus figures of the web layer; several processes share them through PROMETHEUS_MULTIPROC_DIR."""

from prometheus_client import Counter, Histogram

REQUESTS = Counter("fairseat_requests_total", "Requests by route and status", ["method", "route", "status"])
SECONDS = Histogram(
    "fairseat_request_seconds",
    "Time to answer",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    method = method if method in METHODS else "OTHER"
    REQUESTS.labels(method, route, status).inc()
    SECONDS.labels(method, route).observe(seconds)
