"""What stands ready before a storm: leads, a workflow of an e-mail and a message, clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirsal_testing.bench.load import name_lead
from mirsal_testing.bench.product import write_leads
from mirsal_testing.rest import RestClient
from mirsal_testing.storm.clients import Clients

if TYPE_CHECKING:
    from mirsal_testing.stack import Stack

LEADS = 500
NODES = ("mail", "chat")
DEFINITION = {
    "name": "Storm",
    "nodes": [
        {"id": "mail", "type": "email", "config": {"subject": "مرحباً", "body": "{{run.id}}"}},
        {"id": "chat", "type": "whatsapp", "config": {"text": "أهلاً {{lead.name}} {{run.id}}"}},
    ],
    "connections": [{"from": "mail", "to": "chat"}],
}


async def prepare(stack: Stack, workflow: str) -> Clients:
    """Clients that will start this workflow, which exists then, and so do their leads."""
    async with RestClient(stack.url, stack.api_key) as api:
        await api.import_leads(write_leads(LEADS), LEADS)
        await api.publish(workflow, DEFINITION)
    leads = [name_lead(number) for number in range(1, LEADS + 1)]
    return Clients(stack.url, stack.api_key, workflow, leads)
