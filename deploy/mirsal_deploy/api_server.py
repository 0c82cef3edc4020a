"""A Kubernetes API server on this machine, without nodes: etcd and kube-apiserver, built with Go.

From the modules that deploy/apiserver/go.sum names. Building takes minutes, once; it is not in CI.
"""

import re
import secrets
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mirsal_deploy.places import ROOT
from mirsal_deploy.tools import ToolMissing, Tools, digest_of, run_go

SOURCES: Final = ROOT / "deploy/apiserver"
PROGRAMS: Final[Mapping[str, str]] = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
}
BUILD_SECONDS: Final = 3600.0
START_SECONDS: Final = 300.0
END_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.5
REQUEST_SECONDS: Final = 60.0


def build(tools: Tools) -> Mapping[str, Path]:
    """The programs' paths; builds what is not there. Raises `ToolMissing`."""
    folder = tools.folder / f"apiserver-{digest_of(SOURCES / 'go.sum')}"
    made = {name: folder / name for name in PROGRAMS}
    flags = f"-s -X k8s.io/component-base/version.gitVersion={_kubernetes_version()}"
    for name, package in PROGRAMS.items():
        if not made[name].is_file():
            sys.stderr.write(f"building {name}, which takes minutes\n")
            build_it = ("build", "-ldflags", flags, "-o", str(made[name]), package)
            run_go(tools, *build_it, folder=SOURCES, seconds=BUILD_SECONDS, CGO_ENABLED="0")
    return made


@contextmanager
def running(programs: Mapping[str, Path], folder: Path) -> Iterator[httpx.Client]:
    """A new API server that keeps its data below `folder`; a client that may do everything.

    Raises `ToolMissing` where it does not come up; what it said is in `folder`.
    """
    token, ports = secrets.token_urlsafe(32), _free_ports(3)
    _write_key(folder / "accounts.key")
    (folder / "tokens.csv").write_text(f"{token},dry-run,dry-run,system:masters\n", "utf-8")
    with ExitStack() as stack:
        etcd = _start(stack, programs["etcd"], _etcd_options(folder, ports), folder)
        options = _server_options(folder, ports)
        server = _start(stack, programs["kube-apiserver"], options, folder)
        deadline = time.monotonic() + START_SECONDS
        certificate = folder / "certificates/apiserver.crt"
        while not certificate.is_file():
            _wait([etcd, server], deadline, folder)
        client = httpx.Client(
            base_url=f"https://127.0.0.1:{ports[2]}",
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cafile=str(certificate)),
            timeout=REQUEST_SECONDS,
        )
        stack.callback(client.close)
        while not _is_ready(client):
            _wait([etcd, server], deadline, folder)
        yield client


def _etcd_options(folder: Path, ports: Sequence[int]) -> list[str]:
    client, peer = (f"http://127.0.0.1:{port}" for port in ports[:2])
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        # What is tried here need not outlive the machine.
        "--unsafe-no-fsync",
    ]


def _server_options(folder: Path, ports: Sequence[int]) -> list[str]:
    key = folder / "accounts.key"
    return [
        f"--etcd-servers=http://127.0.0.1:{ports[0]}",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports[2]}",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        # It refuses pods whose account is only tried, not made; and nobody here makes accounts.
        "--disable-admission-plugins=ServiceAccount",
    ]


def _start(
    stack: ExitStack, program: Path, options: Sequence[str], folder: Path
) -> subprocess.Popen[bytes]:
    said = stack.enter_context((folder / f"{program.name}.log").open("wb"))
    started = subprocess.Popen(  # noqa: S603 - our tools, our words
        [str(program), *options], cwd=folder, stdout=said, stderr=said
    )
    stack.callback(_end, started)
    return started


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(END_SECONDS)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _wait(processes: Sequence[subprocess.Popen[bytes]], deadline: float, folder: Path) -> None:
    if time.monotonic() > deadline or any(each.poll() is not None for each in processes):
        said = (folder / "kube-apiserver.log").read_text("utf-8", "replace")
        raise ToolMissing(f"the API server does not come up:\n{said[-2000:]}")
    time.sleep(LOOK_SECONDS)


def _kubernetes_version() -> str:
    listed = (SOURCES / "go.mod").read_text("utf-8")
    found = re.search(r"k8s.io/kubernetes (v\S+)", listed)
    return found.group(1) if found else "v0.0.0"


def _write_key(path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    secret = serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, secret))


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
