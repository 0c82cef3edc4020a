"""`python -m mirsal_deploy.smoke`: the demo and code, with every service in a container.

Servers and simulators run as processes of this machine, the services from the images that
`make images` made, as in production: read-only, without capabilities or new privileges, as 10001.
Then each is sent SIGTERM and has to end with 0.
"""

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway.auth.keys import generate_key
from mirsal_testing.demo.play import play
from mirsal_testing.demo.screen import Screen
from mirsal_testing.demo.story import read_story
from mirsal_testing.rest import RestClient
from mirsal_testing.servers.probes import http_answers
from mirsal_testing.servers.remembered import Remembered
from mirsal_testing.stack import Stack
from mirsal_testing.stack.table import PLATFORM, TABLE_SETTING, Table

from mirsal_deploy.places import ROOT, SERVICES, version_of

EXAMPLES: Final = ROOT / "examples"
# The platform without its services; named by `MIRSAL_STACK_TABLE`.
WITHOUT_SERVICES: Final = Table(services=(), simulators=PLATFORM.simulators, keys=None)
CREDENTIALS: Final = "google.json"
CODE: Final = {
    "python": "def main(input):\n    return 2 * input['n'] + 2",
    "javascript": "function main(input) { return 2 * input.n + 2; }",
}
READY_SECONDS: Final = 90.0
END_SECONDS: Final = 40
CALL_SECONDS: Final = 180.0
RESTRICTED: Final = (
    *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--network", "host", "--pull", "never", "--ulimit", "nofile=1024:1024"),
    *("--ulimit", "nproc=1024:1024", "--tmpfs", "/tmp:size=64m,mode=1777"),  # noqa: S108 - its own
)


class SmokeFailed(Exception):
    """A container did not do what it must; the text says which and what it said."""


class Containers:
    """The services' containers, all with the same environment but for what is their own."""

    def __init__(self, engine: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._engine = engine
        self._environment = environment
        self._folder = folder
        self.running: dict[str, str] = {}

    async def run_to_end(self, service: str, *command: str) -> None:
        """Run a command in the service's image. Raises `SmokeFailed`."""
        code, said = await self._run(service, self._environment, "--rm", arguments=command)
        if code != 0:
            raise SmokeFailed(f"{' '.join(command)} ended with {code}: {said[-2000:]}")

    async def start(self, service: str, own: Mapping[str, str]) -> None:
        """Start the service and wait until it is ready. Raises `SmokeFailed`."""
        settings = {**self._environment, **own}
        code, said = await self._run(service, settings, "--detach", arguments=())
        if code != 0:
            raise SmokeFailed(f"{service} did not start: {said[-2000:]}")
        self.running[service] = said.split()[-1]
        deadline = time.monotonic() + READY_SECONDS
        while not await http_answers(f"http://127.0.0.1:{own['MIRSAL_HEALTH_PORT']}/ready"):
            if time.monotonic() > deadline:
                raise SmokeFailed(f"{service} is not ready: {await self.log_of(service)}")
            await asyncio.sleep(0.2)

    async def end(self, service: str) -> float:
        """SIGTERM; the seconds that it took. Raises `SmokeFailed` unless it ends with 0."""
        began = time.monotonic()
        container = self.running[service]
        await call(*self._engine, "stop", "--time", str(END_SECONDS), container)
        seconds = time.monotonic() - began
        form = ("--format", "{{.State.ExitCode}}")
        _, said = await call(*self._engine, "inspect", *form, container)
        if said.strip() != "0":
            log = await self.log_of(service)
            raise SmokeFailed(f"{service} ended with {said.strip()} after {seconds:.0f} s: {log}")
        return seconds

    async def log_of(self, service: str) -> str:
        """The end of what it wrote."""
        _, said = await call(*self._engine, "logs", "--tail", "20", self.running[service])
        return said[-3000:]

    async def remove(self) -> None:
        """Nothing stays."""
        for container in self.running.values():
            await call(*self._engine, "rm", "--force", container)

    async def _run(
        self, service: str, settings: Mapping[str, str], *options: str, arguments: Sequence[str]
    ) -> tuple[int, str]:
        state = self._folder / service
        state.mkdir(exist_ok=True)
        # As an emptyDir: the container's user is not ours.
        state.chmod(0o777)
        credentials = f"{self._folder / CREDENTIALS}:/run/google.json:ro"
        mounted = ("--volume", credentials, "--volume", f"{state}:/var/lib/mirsal")
        # By name only: what a command line says, every user of this machine can read.
        names = [option for name in settings for option in ("--env", name)]
        image = f"mirsal/{service}:{version_of(ROOT, service)}"
        command = [*self._engine, "run", *options, *RESTRICTED, *mounted, *names, image]
        return await call(*command, *arguments, environment=settings)


async def call(*command: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The exit code and all that was said. Raises `SmokeFailed` after a while.

    `environment` is laid over this process's.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(CALL_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        raise SmokeFailed(f"{' '.join(command[:3])} did not end") from None
    return process.returncode or 0, said.decode("utf-8", "replace")


def find_engine() -> list[str]:
    """podman with runc, else Docker. Raises `SmokeFailed`."""
    podman = shutil.which("podman")
    if podman is not None:
        return [podman, "--runtime", "runc"]
    docker = shutil.which("docker")
    if docker is None:
        raise SmokeFailed("neither podman nor Docker is here (Debian: apt install podman runc)")
    return [docker]


async def smoke(engine: Sequence[str], folder: Path) -> None:
    """The demo in containers. Raises `SmokeFailed`."""
    table = {TABLE_SETTING: "mirsal_deploy.smoke:WITHOUT_SERVICES"}
    screen = Screen()
    async with Stack(folder / "stack", environment=table) as stack:
        kept = Remembered(folder / "kept.json")
        environment = _settings(stack.environment, kept)
        credentials = folder / CREDENTIALS
        shutil.copy(stack.environment["MIRSAL_GOOGLE_CREDENTIALS_FILE"], credentials)
        credentials.chmod(0o644)
        containers = Containers(engine, environment, folder)
        try:
            for service, package in SERVICES.items():
                await containers.run_to_end(service, "python", "-m", f"{package}.migrate")
            key = ("keys", "ensure", "--name", "smoke")
            await containers.run_to_end("gateway", "python", "-m", "gateway.cli", *key)
            for service in SERVICES:
                health = {"MIRSAL_HEALTH_PORT": str(kept.port(service))}
                await containers.start(service, {**health, "MIRSAL_INSTANCE": f"{service}-0"})
                screen.say(f"{service} is ready, in a container")
            story = read_story(EXAMPLES / "leads.csv", EXAMPLES / "welcome.workflow.json")
            verdict, _ = await play({**stack.environment, **environment}, story, screen)
            if verdict.faults:
                raise SmokeFailed(f"the demo: {verdict.faults}")
            await run_code(environment, story.leads[0].id, story.workflow.id)
            screen.say("code ran in its box, within its container")
            for service in SERVICES:
                screen.say(f"{service} ended with 0, {await containers.end(service):.1f} s")
        finally:
            await containers.remove()


async def run_code(environment: Mapping[str, str], lead: str, workflow: str) -> None:
    """Have both languages run: boxes wall themselves in further. Raises `SmokeFailed`."""
    async with RestClient(environment["MIRSAL_URL"], environment["MIRSAL_API_KEY"]) as api:
        for language, code in CODE.items():
            config = {"language": language, "code": code, "input": {"n": 20}}
            body = {"leadId": lead, "workflowId": workflow, "nodeId": "code", "config": config}
            ended = await api.call("POST", "/code/execute?wait=20s", json=body)
            if (ended.get("output") or {}).get("result") != 42:
                raise SmokeFailed(f"the code in {language}: {ended}")


def _settings(stack: Mapping[str, str], kept: Remembered) -> dict[str, str]:
    """What the containers get: where all is, and secrets made for this once."""
    port = str(kept.port("gateway-api"))
    given = {
        name: value
        for name, value in stack.items()
        if name.startswith(("MIRSAL_SMTP", "MIRSAL_WHATSAPP", "MIRSAL_SHEETS", "MIRSAL_BIGQUERY"))
        or name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "REDIS_URL")
    }
    return {
        **given,
        "MIRSAL_URL": f"http://127.0.0.1:{port}",
        "MIRSAL_PORT": port,
        "MIRSAL_STATE_DIR": "/var/lib/mirsal",
        "MIRSAL_GOOGLE_CREDENTIALS_FILE": "/run/google.json",
        "MIRSAL_CODE_BOXES": "2",
        "MIRSAL_VAULT_KEYS": f"smoke:{b64encode(secrets.token_bytes(32)).decode()}",
        "MIRSAL_ID_SECRET": secrets.token_urlsafe(48),
        "MIRSAL_API_KEY_PEPPER": secrets.token_urlsafe(48),
        "MIRSAL_API_KEY": generate_key(),
    }


def main() -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory(prefix="mirsal-smoke-") as folder:
        try:
            asyncio.run(smoke(find_engine(), Path(folder)))
        except SmokeFailed as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
