"""Reading the environment: every setting that an operator can change passes through here."""

import base64
import hashlib
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit


class SettingError(SystemExit):
    """Stops the start with one line that names the variable and says what to do."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"Setting {name}: {problem} See the table of settings in README.md.")


def env(name: str, default: str | None = None) -> str:
    """
    Read a text setting; an empty value counts as not set.

    :raises SettingError: if it is not set and has no default
    """
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise SettingError(name, "is required here and is not set.")
    return default


def env_bool(name: str, default: bool) -> bool:
    """
    Read a yes/no setting (1, true, yes, on / 0, false, no, off).

    :raises SettingError: if it is anything else
    """
    value = env(name, "1" if default else "0").lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise SettingError(name, f"is {value!r}; write 1 or 0.")


def env_int(name: str, default: int, *, low: int = 0, high: int = 10**9) -> int:
    """
    Read a whole number between `low` and `high`, both included.

    :raises SettingError: if it is no number or out of range
    """
    value = env(name, str(default))
    try:
        number = int(value)
    except ValueError:
        raise SettingError(name, f"is {value!r}; write a whole number.") from None
    if not low <= number <= high:
        raise SettingError(name, f"is {number}; write a number from {low} to {high}.")
    return number


def env_choice(name: str, default: str, choices: list[str]) -> str:
    """
    Read a setting that is one of a few words.

    :raises SettingError: if it is another one
    """
    value = env(name, default).lower()
    if value not in choices:
        raise SettingError(name, f"is {value!r}; write one of: {', '.join(choices)}.")
    return value


def env_list(name: str, default: str = "") -> list[str]:
    """Read a comma-separated list, spaces around the items and empty items dropped."""
    return [item.strip() for item in env(name, default).split(",") if item.strip()]


def env_ints(name: str, default: str, *, low: int = 0, high: int = 10**9) -> list[int]:
    """
    Read a comma-separated list of whole numbers between `low` and `high`, both included.

    :raises SettingError: if one of them is no number or out of range
    """
    items = env_list(name, default)
    if not all(item.isascii() and item.isdigit() and low <= int(item) <= high for item in items):
        raise SettingError(
            name, f"is {','.join(items)!r}; write numbers from {low} to {high} with commas between them."
        )
    return [int(item) for item in items]


def env_url(name: str, default: str, *, schemes: tuple[str, ...]) -> str:
    """
    Read a URL whose scheme is one of `schemes`.

    :raises SettingError: if the scheme is another one
    """
    value = env(name, default)
    if urlsplit(value).scheme not in schemes:
        raise SettingError(name, f"must begin with one of: {', '.join(s + '://' for s in schemes)}.")
    return value


def env_path(name: str, default: Path) -> Path:
    """Read a path, made absolute."""
    return Path(env(name, str(default))).expanduser().absolute()


def development_secret(data_dir: Path) -> str:
    """Return this checkout's own random secret for development, made at the first start and kept in `data_dir`."""
    path = data_dir / "secret_key"
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip() or development_secret_after_a_crash(path)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(50))
    return path.read_text().strip()


def development_fernet_key(secret: str) -> str:
    """Return a key to seal faces with in development, made of this checkout's own secret."""
    return base64.urlsafe_b64encode(hashlib.sha256(b"face-templates:" + secret.encode()).digest()).decode()


def development_secret_after_a_crash(path: Path) -> str:
    """Fill a secret file that a killed first start left empty."""
    path.write_text(secrets.token_urlsafe(50))
    return path.read_text().strip()
