"""Runs a composed gateway on a socket: from listening to the last drained connection."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import structlog
from aiohttp import web

from gateway.app import Core, composed
from gateway.clock import Clock
from gateway.domain.errors import ConfigError
from gateway.domain.explaining import Explaining
from gateway.enforcement.background import Background
from gateway.enforcement.reading import Readings
from gateway.http.door import Door
from gateway.http.exposure import check_exposure, is_loopback, own_url, split_listen
from gateway.http.files import Files
from gateway.http.hold import Holding, HoldLimits
from gateway.http.listener import Listener
from gateway.http.metrics import Metrics
from gateway.http.ops import Ops
from gateway.http.own_pages import OwnPages
from gateway.http.peers import networks
from gateway.http.prefix import Prefix
from gateway.http.reason_codes import read_codes
from gateway.http.reason_page import RuleText
from gateway.http.views import Views
from gateway.identity.anonymous import AnonymousIdentifier
from gateway.identity.chain import CompositeIdentifier
from gateway.identity.jwt import Issuer, JwtIdentifier
from gateway.identity.keys import KeySource
from gateway.identity.ratelimit import Rate, RateLimiter
from gateway.identity.tokens import TokenFile, TokenIdentifier
from gateway.ports import Identifier
from gateway.settings import Limits, Settings
from gateway.shipped import operations_page
from gateway.stores.layout import Layout

_log = structlog.get_logger("service")
_FLUSH_S = 5.0
_SEARCHES = Rate(10, 200)  # of the ledger, for pages of decisions, by one address


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[str]:
    """The gateway, listening; yields its URL. Everything is drained and closed at the end.

    Raises ConfigError for everything that it refuses to start on.
    """
    host, port = split_listen(settings.server.listen)
    tls = _tls(settings)
    trusted = networks(settings.server.trusted_proxies)
    anonymous = _anonymous(settings, host)
    async with AsyncExitStack() as stack:
        sock = _bound(host, port)
        stack.callback(sock.close)
        url = f"{'https' if tls else 'http'}://{_shown(host)}:{sock.getsockname()[1]}"
        own = settings.server.public_url.rstrip("/") or own_url(url, host)
        explaining = Explaining(own, settings.server.contact)
        core = await stack.enter_async_context(composed(settings, explaining.base))
        check_exposure(
            host,
            has_identity=bool(settings.identity.jwt.issuer) or _has_tokens(core.state.layout, core.clock),
            has_tls=tls is not None,
            has_trusted_proxy=bool(trusted),
            unsafe_allow_exposed=settings.server.unsafe_allow_exposed,
        )
        identifier = await _identifier(settings, core, anonymous, explaining, stack)
        metrics = Metrics()
        ops = Ops({"ledger": lambda: _ledger_check(core), "policy": core.engine.ready}, metrics, core.circuits)
        background = Background()
        stack.push_async_callback(background.close)
        files = Files(core.delivery, core.recording, metrics, stalled_s=settings.server.stalled_s)
        holding = _holding(settings, core, files, metrics)
        door = _door(settings, core, identifier, explaining, files, holding, ops, metrics, background)
        runner = _runner(door, settings)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, sock, ssl_context=tls, backlog=1024).start()
        background.detach(_flush(core), "recording.flush")
        _warn_of_unsafe(settings)
        _log.info("serving", url=url, profile=settings.policy.profile, policy=core.bundle.policy_digest)
        try:
            yield url
        finally:
            ops.draining = True
            holding.stop()


def _door(
    settings: Settings,
    core: Core,
    identifier: CompositeIdentifier,
    explaining: Explaining,
    files: Files,
    holding: Holding,
    ops: Ops,
    metrics: Metrics,
    background: Background,
) -> Door:
    limits = _limiter(settings.limits, core.clock)
    return Door(
        core.dialect,
        identifier,
        limits,
        core.admission,
        core.recording,
        Views(files, core.dialect, core.admission, core.delivery, core.recording, limits),
        holding,
        ops,
        own_pages(core, identifier, limits, explaining, frozenset(settings.review.groups)),
        metrics,
        networks(settings.server.trusted_proxies),
        background,
        Prefix(settings.server.public_url),
    )


def own_pages(
    core: Core,
    identifier: CompositeIdentifier,
    limits: RateLimiter,
    explaining: Explaining,
    review_groups: frozenset[str] = frozenset(),
) -> OwnPages:
    """The gateway's own pages over a core. Raises ConfigError where what they are made of is not shipped."""
    try:
        codes = read_codes(operations_page())
    except OSError as error:
        raise ConfigError(f"the words of the reason codes cannot be read: {error}") from None
    rules = {
        rule: RuleText(known.title, known.description, known.severity, known.remedy)
        for rule, known in core.bundle.rules.items()
    }
    return OwnPages(
        core.decision_log,
        Readings(core.ledger),
        identifier,
        limits,
        RateLimiter(core.clock, subject=None, address=_SEARCHES),
        explaining,
        codes,
        rules,
        lambda: (core.engine.policy_digest, core.engine.data_digest),
        review_groups,
    )


def told_to_end() -> asyncio.Event:
    """Set by SIGTERM and SIGINT from now on; ask for it before the first word that the gateway serves."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    return told


def _runner(door: Door, settings: Settings) -> web.ServerRunner:
    listener = Listener(door.handle, door.malformed, stalled_s=settings.server.stalled_s)
    # aiohttp waits that long for handlers to end, then as long again before it cancels them.
    return web.ServerRunner(listener, shutdown_timeout=settings.server.drain_s / 2)


def _holding(settings: Settings, core: Core, files: Files, metrics: Metrics) -> Holding:
    limits = HoldLimits(hold_s=settings.hold.longest_s, clients=settings.hold.clients)
    return Holding(core.dialect, core.admission, core.beginnings, core.delivery, files, core.recording, metrics, limits)


async def _ledger_check(core: Core) -> str:
    return "" if core.ledger.healthy() else "the ledger cannot be written; mend the disk and restart"


async def _flush(core: Core) -> None:
    while True:
        await asyncio.sleep(_FLUSH_S)
        await core.recording.flush(everything=False)


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket, bound before anything else is built. Raises ConfigError for a taken or foreign address."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"server.listen: {host!r} is no address to listen on: {error.strerror}") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(address)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"port {port} on {host} is taken: stop what listens there, or choose another") from None
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return sock


def _tls(settings: Settings) -> ssl.SSLContext | None:
    server = settings.server
    if not server.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(server.tls_cert, server.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot use the certificate {server.tls_cert} with {server.tls_key}: {error}") from None
    return context


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _anonymous(settings: Settings, host: str) -> bool:
    """Anonymous subjects are on by default only while the gateway listens on loopback."""
    match settings.identity.anonymous:
        case "on":
            return True
        case "off":
            return False
        case "auto":
            return is_loopback(host)


def _has_tokens(layout: Layout, clock: Clock) -> bool:
    return bool(TokenFile(layout.tokens, clock).entries())


async def _identifier(
    settings: Settings, core: Core, anonymous: bool, explaining: Explaining, stack: AsyncExitStack
) -> CompositeIdentifier:
    identifiers: list[Identifier] = [TokenIdentifier(core.state.layout.tokens, core.clock, core.generation.bump)]
    jwt = settings.identity.jwt
    if jwt.issuer:
        session = await stack.enter_async_context(aiohttp.ClientSession()) if jwt.jwks_url else None
        keys = KeySource(
            core.clock, file=Path(jwt.jwks_file) if jwt.jwks_file else None, url=jwt.jwks_url, session=session
        )
        issuer = Issuer(
            jwt.issuer, jwt.audience, tuple(jwt.algorithms), groups_claim=jwt.groups_claim, claims=tuple(jwt.claims)
        )
        identifiers.append(JwtIdentifier(issuer, keys, core.clock))
    whom = explaining.contact or f"the operator of {explaining.base}"
    return CompositeIdentifier(
        identifiers,
        anonymous=AnonymousIdentifier() if anonymous else None,
        how_to=f"ask {whom} for a gateway token and set it as HF_TOKEN",
        hub_token_is_anonymous=settings.identity.accept_hub_tokens_as_anonymous,
    )


def _limiter(limits: Limits, clock: Clock) -> RateLimiter:
    return RateLimiter(
        clock,
        subject=Rate(limits.subject_rate, limits.subject_burst) if limits.subject_rate else None,
        address=Rate(limits.address_rate, limits.address_burst) if limits.address_rate else None,
    )


def _warn_of_unsafe(settings: Settings) -> None:
    """Each unsafe switch is said loudly at each start."""
    for section, name in (
        (settings.server, "unsafe_allow_exposed"),
        (settings.upstream, "unsafe_allow_private_upstream"),
    ):
        if getattr(section, name):
            _log.warning("unsafe.switch", switch=name)
