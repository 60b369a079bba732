"""Where the sandbox listens, and whom it knows."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Config:
    """Where the sandbox listens, who may speak to it, and whom it tells."""

    port: int
    site_url: str
    webhook_url: str
    webhook_secret: str
    secret_key: str
    publishable_key: str
    api_version: str
    path: Path | None = None
    delayed_seconds: float = 5.0
    late_seconds: float = 735.0

    @property
    def base_url(self) -> str:
        """The sandbox's own address."""
        return f"http://127.0.0.1:{self.port}"

    def is_of_the_shop(self, url: str) -> bool:
        """Whether an address is the shop's, by its configured name or by another name of this machine."""
        wanted, given = urlsplit(self.site_url), urlsplit(url)
        try:
            if (given.scheme, given.port) != (wanted.scheme, wanted.port) or "\\" in url:
                return False
        except ValueError:
            return False
        return given.hostname == wanted.hostname or {given.hostname, wanted.hostname} <= LOOPBACK
