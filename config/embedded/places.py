"""Where the servers of a DATA_DIR live, and the addresses they answer at."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from config.embedded.owner import ROOT_HOME, USER, passable, service_user

POSTGRES_SOCKET = ".s.PGSQL.5432"
REDIS_SOCKET = "redis.sock"
LONGEST_SOCKET_PATH = 100  # the kernel's limit is 107 bytes, and PostgreSQL adds `.lock` for a file beside it


@dataclass(frozen=True)
class Addresses:
    """Where the two servers of one DATA_DIR answer."""

    database_url: str
    redis_url: str


@dataclass(frozen=True)
class Places:
    """The directories of one DATA_DIR's servers, and whose they are (uid, gid)."""

    home: Path
    sockets: Path
    owner: tuple[int, int] | None

    @property
    def cluster(self) -> Path:
        return self.home / "postgres"

    @property
    def redis(self) -> Path:
        return self.home / "redis"


def addresses(data_dir: Path) -> Addresses:
    """Return the addresses of the servers of `data_dir`, whether or not they run."""
    sockets = places(data_dir).sockets
    return Addresses(
        database_url=f"postgresql:///fairseat?host={quote(str(sockets), safe='/')}&user={USER}",
        redis_url=f"unix://{quote(str(sockets / REDIS_SOCKET), safe='/')}?db=0",
    )


def broker_url(redis_url: str) -> str:
    """Return a Redis URL in the spelling that Celery's transport understands: unix sockets have a name of their own there."""
    url = urlsplit(redis_url)
    if url.scheme != "unix":
        return redis_url
    database = parse_qs(url.query).get("db", ["0"])[0]
    login = f"{url.netloc.rpartition('@')[0]}@" if "@" in url.netloc else ""
    return f"redis+socket://{login}{url.path}?virtual_host={database}"


def places(data_dir: Path) -> Places:
    """
    Decide where the servers of `data_dir` live.

    Normally in `data_dir` itself. PostgreSQL refuses to run as root, so root hands the servers to another user; where that
    user can not get through to `data_dir` (`/root` is closed), they live in a directory of root's own making instead, and
    nobody's directory is opened.
    """
    data_dir = data_dir.resolve()
    owner = None
    home = data_dir / "embedded"
    digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    if os.geteuid() == 0:
        owner = service_user()
        if not passable(data_dir, *(owner or (-1, -1))):
            home = ROOT_HOME / digest
    sockets = home / "run"
    if len(str(sockets / POSTGRES_SOCKET).encode()) > LONGEST_SOCKET_PATH:
        sockets = Path("/tmp") / f"fairseat-{os.geteuid()}-{digest}"  # noqa: S108 - made 0700 and checked to be ours
    return Places(home, sockets, owner)
