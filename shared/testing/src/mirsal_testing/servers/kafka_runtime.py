"""The JVM, the jars and the start-up cache that Kafka runs from: got once, kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mirsal_testing.servers.binaries import java_binary, java_version
from mirsal_testing.servers.cache import cache_folder, exclusive
from mirsal_testing.servers.download import fetch_jars
from mirsal_testing.servers.maven import KAFKA_VERSION, Jar, choose_repository, pinned_jars
from mirsal_testing.servers.progress import say
from mirsal_testing.servers.server import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOCK_SECONDS = 900.0
_TRAINING_SECONDS = 120.0

# Who may say more than warnings: what started and ended, and each group's members.
_TALKING_LOGGERS = (
    "kafka.server.KafkaRaftServer",
    "kafka.server.BrokerServer",
    "kafka.server.BrokerLifecycleManager",
    "org.apache.kafka.common.utils",
    "org.apache.kafka.coordinator.group",
)

# A broker that lives for minutes on two cores: the quick compiler and the collector without
# threads of its own leave the cores to the platform.
_JVM = (
    "-Xms128m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSX",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    *(f"-Dorg.slf4j.simpleLogger.log.{logger}=info" for logger in _TALKING_LOGGERS),
)


@dataclass(frozen=True)
class KafkaRuntime:
    """How to execute a class of Kafka."""

    java: Path
    jars: tuple[Path, ...]
    extra: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """The command line up to the main class."""
        class_path = os.pathsep.join(str(jar) for jar in self.jars)
        return [str(self.java), *_JVM, *self.extra, "-cp", class_path]

    def with_extra(self, *extra: str) -> KafkaRuntime:
        return KafkaRuntime(self.java, self.jars, extra)


async def prepare_runtime() -> KafkaRuntime:
    """Downloads the jars and makes the start-up cache unless both are there already."""
    folder = cache_folder() / f"kafka-{KAFKA_VERSION}"
    jars = pinned_jars()
    runtime = KafkaRuntime(java_binary(), tuple(folder / jar.file_name for jar in jars))
    if not _are_there(jars, folder):
        async with exclusive(folder / ".lock", seconds=_LOCK_SECONDS):
            await fetch_jars(jars, folder, choose_repository())
    startup_cache = folder / f"{_fingerprint(runtime)}.aot"
    if not startup_cache.is_file():
        async with exclusive(folder / ".lock", seconds=_LOCK_SECONDS):
            if not startup_cache.is_file():
                await _train(runtime, startup_cache)
    if startup_cache.stat().st_size == 0:
        return runtime
    return runtime.with_extra(f"-XX:AOTCache={startup_cache}", "-Xlog:aot*=off,cds*=off")


def _are_there(jars: Iterable[Jar], folder: Path) -> bool:
    """A look at the sizes only: the hashes were checked when the files were put there."""
    try:
        return all((folder / jar.file_name).stat().st_size == jar.size for jar in jars)
    except FileNotFoundError:
        return False


def _fingerprint(runtime: KafkaRuntime) -> str:
    """The JVM takes a start-up cache only for the same Java, flags and files of the same age."""
    ages = [str(jar.stat().st_mtime_ns) for jar in runtime.jars]
    parts = [java_version(), *runtime.arguments()[1:], *ages]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


async def _train(runtime: KafkaRuntime, startup_cache: Path) -> None:
    """Runs a broker once and keeps what the JVM learnt: later starts take a third of the time.

    Where that fails an empty file says so, and Kafka starts without it.
    """
    from mirsal_testing.servers.kafka import KafkaServer

    say("Kafka: making its start-up cache (once, about 10 s)")
    began = time.monotonic()
    draft = startup_cache.with_name(f".{startup_cache.name}.{os.getpid()}")
    home = Path(tempfile.mkdtemp(prefix="mirsal-kafka-"))
    trainee = KafkaServer(home, runtime=runtime.with_extra(f"-XX:AOTCacheOutput={draft}"))
    trainee.stop_seconds = _TRAINING_SECONDS
    try:
        await trainee.start()
        await trainee.stop()
    except ServerError as error:
        say(f"Kafka: no start-up cache, starts will be slower: {error}")
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if not draft.is_file():
        draft.touch()
    draft.replace(startup_cache)
    say(f"Kafka: start-up cache made in {time.monotonic() - began:.0f} s")
