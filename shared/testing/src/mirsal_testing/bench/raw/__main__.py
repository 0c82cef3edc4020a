"""One bare process: `python -m mirsal_testing.bench.raw front|brain|worker|provider`.

The servers' URLs come from the environment, as Mirsal's own services have them.
"""

from __future__ import annotations

from typing import Annotated

import typer

from mirsal_testing.bench.raw.brain import think
from mirsal_testing.bench.raw.clients import run_until_told
from mirsal_testing.bench.raw.front import serve_front
from mirsal_testing.bench.raw.provider import serve_provider
from mirsal_testing.bench.raw.worker import work

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Kafka = Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")]
Database = Annotated[str, typer.Option(envvar="DATABASE_URL")]


@app.command()
def front(name: str, port: int, kafka: Kafka, *, provider: bool = False) -> None:
    """The HTTP front of the pipeline of that name."""
    run_until_told(serve_front(name, kafka, port, provider=provider))


@app.command()
def brain(name: str, kafka: Kafka, database: Database, *, provider: bool = False) -> None:
    """Its brain."""
    run_until_told(think(name, kafka, database, provider=provider))


@app.command()
def worker(name: str, kafka: Kafka, provider_url: str = "") -> None:
    """Its worker, which calls the provider if there is one."""
    run_until_told(work(name, kafka, provider_url or None))


@app.command()
def provider(port: int) -> None:
    """The provider."""
    run_until_told(serve_provider(port))


app()
