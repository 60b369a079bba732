"""placeholder for the first minutes; replaced below"""

import hashlib, tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Addresses:
    database_url: str
    redis_url: str


def addresses(data_dir: Path) -> Addresses:
    return Addresses("postgresql:///fairseat?host=/tmp/fsdev&user=fairseat", "unix:///tmp/fsdev/redis.sock?db=0")


def broker_url(redis_url: str) -> str:
    return redis_url
