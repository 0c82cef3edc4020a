"""10,000 data keys are wrapped anew while runs go on, and what was moved does not open."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import orjson
import pytest
from mirsal_contracts.credentials import ACCOUNT
from mirsal_runtime.vault.keys import GivenKeys, write_new_key
from mirsal_runtime.vault.sealing import account_context, data_key_context, make_key, seal
from pydantic import SecretStr

from tests.e2e.test_credentials import mail_by, smtp_account

if TYPE_CHECKING:
    from pathlib import Path

    from mirsal_testing.rest import RestClient
    from mirsal_testing.stack import Stack

    from tests.e2e.conftest import People

log = logging.getLogger(__name__)
pytestmark = pytest.mark.e2e

CREDENTIALS = 10_000
MOST_SECONDS = 60.0
UNUSED = dict.fromkeys(
    ("MIRSAL_API_KEY_PEPPER", "MIRSAL_ID_SECRET"), "a rotation of keys does not use it"
)
_ADD_KEYS = """
INSERT INTO gateway.workspace_keys (id, workspace, key_id, wrapped)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[])
"""
_ADD_CREDENTIALS = """
INSERT INTO gateway.credentials
       (workspace, credential_id, type, summary, revision, data_key, sealed, created_by, updated_by)
SELECT workspace, 'theirs', 'smtp', 's', gen_random_uuid(), data_key, sealed, 'tests', 'tests'
  FROM unnest($1::text[], $2::uuid[], $3::bytea[]) AS given (workspace, data_key, sealed)
"""
_FORGET = """
DELETE FROM gateway.credentials WHERE workspace LIKE 'rotated-%' OR credential_id = 'turning';
DELETE FROM gateway.workspace_keys WHERE workspace LIKE 'rotated-%';
"""
_MOVE = """
UPDATE gateway.credentials AS taker
   SET sealed = giver.sealed, data_key = giver.data_key, revision = gen_random_uuid()
  FROM gateway.credentials AS giver
 WHERE taker.workspace = 'default' AND taker.credential_id = 'turning' AND giver.workspace = $1
"""


async def plant(sql: asyncpg.Connection[asyncpg.Record], ring: GivenKeys) -> None:
    """Workspaces with a credential each, as the gateway would have sealed them."""
    plain = orjson.dumps(
        ACCOUNT.validate_python(
            {"type": "smtp", "host": "mail.example", "password": "theirs"}
        ).to_secret()
    )
    keys, accounts = [], []
    for number in range(CREDENTIALS):
        workspace, key_id, key = f"rotated-{number}", uuid4(), make_key()
        keys.append((key_id, workspace, *await ring.wrap(key, data_key_context(workspace, key_id))))
        sealed = seal(key, plain, account_context(workspace, "theirs", "smtp", key_id))
        accounts.append((workspace, key_id, sealed))
    await sql.execute(_ADD_KEYS, *(list(column) for column in zip(*keys, strict=True)))
    await sql.execute(_ADD_CREDENTIALS, *(list(column) for column in zip(*accounts, strict=True)))


def rotate(stack: Stack, file: Path) -> str:
    """What `mirsal vault rotate` says."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "vault", "rotate"],
        env={**os.environ, **UNUSED, **stack.environment, "MIRSAL_VAULT_KEYS_FILE": str(file)},
        capture_output=True, text=True, timeout=MOST_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


class Sending:
    """Mails by a credential that is saved anew each time, one after the other, until told."""

    def __init__(self, api: RestClient, stack: Stack, lead_id: str) -> None:
        self._api, self._stack, self._lead_id = api, stack, lead_id
        self.runs: list[Any] = []
        self._over = asyncio.Event()

    async def run(self) -> None:
        for number in count():
            draft = smtp_account(self._stack, f"turn-{number}@acme.example")
            await self._api.call("PUT", "/credential/turning", json=draft)
            self.runs.append(await self.send())
            if self._over.is_set():
                return

    async def send(self) -> Any:
        return await self._api.wait_for_run(await self._api.start_run("turning", self._lead_id))

    async def more(self, runs: int = 2) -> None:
        """Returns when so many more have ended."""
        wanted = len(self.runs) + runs
        while len(self.runs) < wanted:
            await asyncio.sleep(0.05)

    def stop(self) -> None:
        self._over.set()


async def test_keys_are_rotated_while_runs_go_on(
    api: RestClient, stack: Stack, people: People
) -> None:
    person, file = await people.make(), stack.folder.vault_keys
    before = file.read_text()
    old, new = before.strip(), write_new_key("turned")
    await api.call("PUT", "/credential/turning", json=smtp_account(stack, "turn@acme.example"))
    await api.publish("turning", mail_by("turning"))
    sql = await asyncpg.connect(stack.environment["DATABASE_URL"])
    sending = Sending(api, stack, person.id)
    try:
        await plant(sql, GivenKeys(SecretStr(old)))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(sending.run())
            await sending.more()
            file.write_text(f"{old}\n{new}\n")
            await sending.more()
            file.write_text(f"{new}\n{old}\n")
            begun = time.monotonic()
            said = await asyncio.to_thread(rotate, stack, file)
            seconds = time.monotonic() - begun
            assert int(said.removeprefix("wrapped anew: ")) > CREDENTIALS
            file.write_text(f"{new}\n")
            await sending.more(3)
            sending.stop()
        told = f"{CREDENTIALS} data keys took {seconds:.1f} s, beside {len(sending.runs)} runs"
        log.info(told)
        assert seconds < MOST_SECONDS, told
        assert {run["status"] for run in sending.runs} == {"succeeded"}
        left = "SELECT count(*) FROM gateway.workspace_keys WHERE key_id <> 'turned'"
        assert await sql.fetchval(left) == 0
        await sql.execute(_MOVE, "rotated-7")
        await asyncio.sleep(3.5)  # What a connector has seen counts so long.
        moved = await sending.send()
        assert moved["status"] == "paused"
        assert moved["executions"][0]["error"]["code"] == "credential_unreadable"
    finally:
        file.write_text(f"{new}\n{before}")
        await sql.execute(_FORGET)
        await sql.close()
