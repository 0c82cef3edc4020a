"""All that a gateway process is made of, opened and closed in the right order."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import NamedTuple

import structlog
from mirsal_contracts.topics import EXECUTIONS_REQUESTED_V1
from mirsal_runtime.broker import Publisher
from mirsal_runtime.health import Check
from mirsal_runtime.tasks import cancel
from mirsal_runtime.topics import TopicsPresent, open_board
from mirsal_runtime.vault.keys import GivenKeys, KeyKeeper
from mirsal_runtime.vault.sharing import Sharing
from mirsal_runtime.webhook_secrets import SecretSealer
from starlette.requests import Request

from gateway.audit.store import AuditStore
from gateway.audit.trail import Trail, log_head
from gateway.auth.admission import Door, Limits
from gateway.auth.bearer import Bearer, Claims
from gateway.auth.guard import PRINCIPAL
from gateway.auth.key_ring import KeyRing
from gateway.auth.key_set import KeySet
from gateway.auth.rate_limit import NO_ADDRESS, RateLimiter, is_address
from gateway.auth.schemas import Principal
from gateway.auth.service import Doorkeeper
from gateway.auth.store import KeyStore
from gateway.auth.tokens import TokenRules
from gateway.controls.service import Controls
from gateway.controls.store import ControlStore
from gateway.credentials.references import AccountRules
from gateway.credentials.sealing import Sealer
from gateway.credentials.service import Credentials
from gateway.credentials.store import CredentialStore
from gateway.executions.service import DirectCalls, Executions
from gateway.executions.store import ExecutionStore
from gateway.health.service import Health
from gateway.health.store import TotalStore
from gateway.issued_ids import IdIssuer
from gateway.jobs.runner import JobRunner
from gateway.jobs.sealing import JobSealer
from gateway.jobs.service import Jobs
from gateway.jobs.store import JobStore
from gateway.jobs.work import ImportLeads, ReplayAll, StartRuns, Works
from gateway.leads.erasure import Erasure
from gateway.leads.opening import Opener
from gateway.leads.sealing import LeadSealer
from gateway.leads.service import Leads
from gateway.leads.store import LeadStore
from gateway.letters.service import Letters
from gateway.letters.store import LetterStore
from gateway.publishing import Intake
from gateway.runs.bound import RunBound
from gateway.runs.launch import Launcher
from gateway.runs.service import FactFinder, Runs, Starts
from gateway.runs.store import RunStore, StartStore
from gateway.sending.service import Sending
from gateway.sending.store import SendingStore
from gateway.settings import GatewaySettings
from gateway.store import Database, DatabaseUnavailable, open_database
from gateway.watching.feed import ChangeFeed
from gateway.watching.lookout import Lookout
from gateway.watching.store import WatchStore
from gateway.webhooks.service import Webhooks
from gateway.webhooks.store import WebhookStore
from gateway.workflows.graphs import GraphShelf
from gateway.workflows.service import Workflows
from gateway.workflows.store import WorkflowStore

SWEEP_SECONDS = 600.0
USES_SECONDS = 10.0
"""How late a key's last use may be in the table."""

log = structlog.get_logger(__name__)


class Services(NamedTuple):
    """What endpoints call, one for each noun."""

    door: Door
    trail: Trail
    key_ring: KeyRing
    credentials: Credentials
    sending: Sending
    workflows: Workflows
    leads: Leads
    starts: Starts
    runs: Runs
    direct: DirectCalls
    executions: Executions
    controls: Controls
    letters: Letters
    webhooks: Webhooks
    jobs: Jobs
    lookout: Lookout
    feed: ChangeFeed
    health: Health


def services_of(request: Request) -> Services:
    """The process's services."""
    services: Services = request.app.state.services
    return services


def caller_of(request: Request) -> Principal:
    """Who calls, as the door found out."""
    principal: Principal = request.scope["state"][PRINCIPAL]
    return principal


def actor_of(request: Request) -> Principal:
    """Who calls and from where, for calls that the audit log tells of."""
    address = NO_ADDRESS if request.client is None else request.client.host
    return caller_of(request)._replace(address=address if is_address(address) else NO_ADDRESS)


@asynccontextmanager
async def open_services(settings: GatewaySettings) -> AsyncIterator[Services]:
    """Everything, ready to serve; servers that are away show at the first call."""
    async with AsyncExitStack() as stack:
        own, views = await _open_pools(stack, settings)
        intake, limiter = _open_servers(stack, settings)
        starts, keeper = StartStore(own), GivenKeys(settings.vault_keys, settings.vault_keys_file)
        opener = Opener(own, keeper)
        run_store = RunStore(views, opener)
        bound = RunBound(settings.workspace_runs, run_store.count_under_way)
        launcher = Launcher(IdIssuer(settings.id_secret), starts, intake, opener, bound)
        finder = FactFinder(starts)
        workflow_store, credentials = WorkflowStore(own), CredentialStore(own)
        accounts = AccountRules(credentials, Sharing.parse(settings.shared_accounts))
        workflows = Workflows(workflow_store, accounts)
        lookout, feed = _open_watch(stack, WatchStore(views))
        runs = Runs(launcher, run_store, starts, lookout)
        direct = DirectCalls(finder, launcher, accounts)
        executions = Executions(launcher, ExecutionStore(views, opener), starts, workflows, lookout)
        trail = _open_trail(stack, own)
        letters = Letters(LetterStore(views), launcher, intake, trail)
        kits = LeadSealer(Sealer(credentials, keeper), is_on=settings.seal_leads)
        people = LeadStore(own, kits, opener)
        leads = Leads(people, Erasure(people, views), intake, settings.default_region, trail)
        graphs, jobs = GraphShelf(workflow_store), JobStore(own, JobSealer(kits))
        started = StartRuns(jobs, starts, graphs, launcher)
        wake = _run_jobs(stack, jobs, Works(ImportLeads(jobs, leads), started, ReplayAll(letters)))
        keys, endpoints = KeyStore(own), WebhookStore(own, views)
        stack.callback(asyncio.create_task(_sweep(starts, endpoints)).cancel)
        yield Services(
            door=_build_door(settings, stack, keys, limiter),
            trail=trail,
            key_ring=KeyRing(keys, settings.api_key_pepper, trail),
            credentials=Credentials(credentials, keeper, direct, executions),
            sending=Sending(SendingStore(own), Sealer(credentials, keeper)),
            workflows=workflows,
            leads=leads,
            starts=Starts(finder, graphs, launcher, trail),
            runs=runs,
            controls=Controls(runs, ControlStore(views), launcher, intake, trail),
            letters=letters,
            jobs=Jobs(jobs, launcher, finder, wake),
            webhooks=_build_webhooks(settings, endpoints, keeper),
            direct=direct,
            executions=executions,
            lookout=lookout,
            feed=feed,
            health=_build_health(settings, own, views, limiter),
        )


async def _open_pools(
    stack: AsyncExitStack, settings: GatewaySettings
) -> tuple[Database, Database]:
    """The ways to the gateway's own tables and to others' views."""
    size = settings.database_connections
    own = await stack.enter_async_context(open_database(settings, purpose="own", size=size))
    # A lock on the orchestrator's tables must not use up the connections that starts need.
    few = max(2, size // 2)
    views = await stack.enter_async_context(open_database(settings, purpose="views", size=few))
    return own, views


def _open_servers(stack: AsyncExitStack, settings: GatewaySettings) -> tuple[Intake, RateLimiter]:
    """The ways to Kafka and to Valkey."""
    intake = Intake(Publisher(settings), _broker_check(settings))
    stack.push_async_callback(intake.stop)
    limiter = RateLimiter(settings.redis_url, seconds=settings.rate_limit_wait_ms / 1000)
    stack.push_async_callback(limiter.stop)
    return intake, limiter


def _open_trail(stack: AsyncExitStack, own: Database) -> Trail:
    trail = Trail(AuditStore(own, log_head))
    stack.callback(asyncio.create_task(trail.keep_chain()).cancel)
    return trail


def _build_webhooks(
    settings: GatewaySettings, endpoints: WebhookStore, keeper: KeyKeeper
) -> Webhooks:
    sealer = SecretSealer(keeper, settings.webhook_keys)
    return Webhooks(endpoints, settings.outbound_rules, sealer)


def _build_health(
    settings: GatewaySettings, own: Database, views: Database, limiter: RateLimiter
) -> Health:
    return Health(
        settings,
        TotalStore(views),
        LetterStore(views),
        required={"postgres": own.check, "kafka": _topics_check(settings)},
        optional={"redis": limiter.check},
    )


def _open_watch(stack: AsyncExitStack, watches: WatchStore) -> tuple[Lookout, ChangeFeed]:
    lookout, feed = Lookout(watches.look), ChangeFeed(watches)
    stack.callback(lookout.close)
    stack.callback(feed.close)
    return lookout, feed


def _run_jobs(stack: AsyncExitStack, store: JobStore, works: Works) -> Callable[[], None]:
    """Work jobs off as long as the stack is open; what tells that there is a new one."""
    runner = JobRunner(store, works)
    stack.push_async_callback(cancel, asyncio.create_task(runner.run()))
    return runner.wake


def _build_door(
    settings: GatewaySettings, stack: AsyncExitStack, keys: KeyStore, limiter: RateLimiter
) -> Door:
    doorkeeper = Doorkeeper(keys, settings.api_key_pepper)
    stack.push_async_callback(_note_uses, doorkeeper)
    stack.callback(asyncio.create_task(_note_uses_often(doorkeeper)).cancel)
    bearer = _bearer_of(settings, keys)
    if bearer is not None:
        stack.push_async_callback(bearer.stop)
    limits = Limits(settings.rate_limit_per_minute, settings.bad_keys_per_minute)
    return Door(doorkeeper, bearer, limiter, limits)


def _bearer_of(settings: GatewaySettings, keys: KeyStore) -> Bearer | None:
    if not settings.jwt_jwks:
        return None
    rules = TokenRules(
        settings.jwt_algorithm,
        settings.jwt_issuer,
        settings.jwt_audience,
        settings.jwt_leeway_seconds,
    )
    claims = Claims(
        settings.jwt_workspace_claim,
        settings.jwt_role_claim,
        settings.jwt_roles,
        settings.jwt_workflows_claim,
    )
    return Bearer(KeySet(settings.jwt_jwks, settings.jwt_algorithm), rules, claims, keys)


def _broker_check(settings: GatewaySettings) -> Check:
    """Whether Kafka answers at this moment; what it raises is the reason."""

    async def check() -> str | None:
        async with open_board(settings):
            return None

    return check


def _topics_check(settings: GatewaySettings) -> Check:
    """Whether Kafka has the topic of requests, in words that anybody may read."""
    present = TopicsPresent(settings, [EXECUTIONS_REQUESTED_V1])

    async def check() -> str | None:
        try:
            return await present()
        except Exception as error:  # noqa: BLE001 - whatever the client raises: it cannot be reached
            log.warning("kafka_check_failed", error=error)
            return "Kafka does not answer"

    return check


async def _note_uses_often(doorkeeper: Doorkeeper) -> None:
    while True:
        await asyncio.sleep(USES_SECONDS)
        await _note_uses(doorkeeper)


async def _note_uses(doorkeeper: Doorkeeper) -> None:
    """Write which keys were used; they are tried again later if the database is away."""
    with suppress(DatabaseUnavailable):
        await doorkeeper.write_uses()


async def _sweep(starts: StartStore, endpoints: WebhookStore) -> None:
    """Forget old idempotency keys and wishes now and then, each gateway at a time of its own."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        with suppress(DatabaseUnavailable):
            while await starts.forget_keys():  # noqa: ASYNC110 - each round removes some
                await asyncio.sleep(1)
            await endpoints.forget_wishes()
