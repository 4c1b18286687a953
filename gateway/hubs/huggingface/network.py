"""The one HTTP session to the hub: guarded addresses, redirects by hand, one credential, retries with jitter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
from aiohttp.abc import AbstractResolver
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from yarl import URL

from gateway import __version__
from gateway.domain.errors import UpstreamError, UpstreamUnavailable
from gateway.hubs.huggingface.addresses import AddressRefused, GuardedResolver, HostGuard
from gateway.hubs.huggingface.answers import PassingTrouble, delivery_error, error_of, may_pass
from gateway.hubs.huggingface.backoff import Patience, SharedBackoff, Sleep
from gateway.hubs.huggingface.circuit import Circuits, host_of, subject_of
from gateway.hubs.huggingface.config import UpstreamConfig
from gateway.hubs.huggingface.limits import malformed, parse_json, read_bounded

T = TypeVar("T")

ANONYMOUS = "anonymous"
GATEWAY_TOKEN = "gateway_token"  # noqa: S105 - the name of an access, not a secret
MAX_REDIRECTS = 5
CHUNK_BYTES = 1 << 20
DISCARDED_BYTES = 64 << 10
PROBE_TIMEOUT_S = 5.0
_PROBE_PATH = "/api/models?limit=1"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Answer:
    """The last response of a chain of redirects, and the headers of every response that the endpoint itself gave on
    the way. The holder closes `response`."""

    response: aiohttp.ClientResponse
    own_headers: tuple[Mapping[str, str], ...]
    url: URL


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A parsed body, its size, and the address of the next page ("" for none)."""

    value: Any
    size_bytes: int
    next_url: str


class Network:
    """`start` opens the pool, `close` ends it. `resolver` and `sleep` are for tests."""

    def __init__(
        self,
        config: UpstreamConfig,
        *,
        resolver: AbstractResolver | None = None,
        backoff: SharedBackoff | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._config = config
        self._resolver = resolver
        self._backoff = backoff or SharedBackoff(sleep=sleep)
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None
        self._probes: set[asyncio.Task[None]] = set()
        self.circuits = Circuits(config.circuit_failures)
        self.guard = HostGuard(config)

    async def start(self) -> None:
        """Open the connection pool (in the running loop)."""
        resolver = GuardedResolver(
            self._resolver or aiohttp.ThreadedResolver(), allow_private=self._config.allow_private
        )
        self._session = aiohttp.ClientSession(
            # Per host, so that long downloads from the CDN do not keep listings waiting.
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=self._config.connections, resolver=resolver),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self._config.connect_timeout_s, sock_read=self._config.read_timeout_s
            ),
            headers={"User-Agent": f"model-gateway/{__version__}"},
            read_bufsize=CHUNK_BYTES // 2,
            trust_env=False,
        )

    async def close(self) -> None:
        for probing in list(self._probes):
            probing.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def has_token(self) -> bool:
        return self._config.token is not None

    async def retried(self, operation: Callable[[Patience], Awaitable[T]]) -> T:
        """Run an idempotent read; again, with jitter, where its trouble may pass. `operation` is given what it may wait
        for rate limits in all. Raises UpstreamError."""
        patience = Patience(self._config.wait_budget_s)

        async def once() -> T:
            return await operation(patience)

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._config.attempts),
            wait=wait_random_exponential(multiplier=0.1, max=1.0),
            retry=retry_if_exception(may_pass),
            sleep=self._sleep,
            reraise=True,
        )
        return await retrying(once)

    async def get_json(
        self,
        url: URL,
        access: str,
        *,
        missing: str,
        max_bytes: int | None = None,
        form: str | None = None,
        accept: str = "application/json",
    ) -> JsonAnswer:
        """One bounded JSON answer of the endpoint itself (to `form`, where given). Raises UpstreamError."""
        limit = self._config.listing_bytes if max_bytes is None else max_bytes

        async def once(patience: Patience) -> JsonAnswer:
            try:
                async with asyncio.timeout(self._config.listing_timeout_s):
                    return await self._json(url, access, missing, limit, form, accept, patience)
            except TimeoutError:
                raise PassingTrouble("The hub's listing took too long.", timeout=True) from None

        return await self.retried(once)

    async def _json(
        self, url: URL, access: str, missing: str, limit: int, form: str | None, accept: str, patience: Patience
    ) -> JsonAnswer:
        headers = {"Accept": accept, "Accept-Encoding": "gzip"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer = await self.send(
            url, access, headers, patience, bucket="api", own_only=True, missing=missing, form=form
        )
        try:
            body = await read_bounded(translated(answer.response), limit)
            value = await parse_json(body, self._config.json_depth)
            links = answer.response.links
            link = links["next"]["url"] if "next" in links else ""
        finally:
            answer.response.close()
        next_url = str(link)
        if next_url and not self.guard.is_own(URL(next_url)):
            raise malformed("The hub's next page lies on another host.")
        return JsonAnswer(value, len(body), next_url)

    async def send(
        self,
        url: URL,
        access: str,
        headers: Mapping[str, str],
        patience: Patience,
        *,
        bucket: str,
        own_only: bool,
        missing: str,
        form: str | None = None,
    ) -> Answer:
        """A read whose redirects are followed by hand; the token goes to the endpoint's own origin only. `bucket` is
        that of the endpoint; every other host has its own.

        Raises UpstreamError, also for every status of 400 or more.
        """
        own_headers: list[Mapping[str, str]] = []
        for _ in range(MAX_REDIRECTS + 1):
            self.guard.check(url, own_only=own_only)
            is_own = self.guard.is_own(url)
            with_token = access == GATEWAY_TOKEN and is_own
            of = bucket if is_own else str(url.host)
            async with self._backoff.turn(of, patience):
                response = await self._ask(url, {**headers, **self._authorization(with_token)}, form)
                self._backoff.note(of, response.status, response.headers)
            own_headers += [response.headers] if is_own else []
            if response.status in _REDIRECTS:
                await _discard(response)
                url = _target(url, response.headers.get("Location", ""))
                continue
            if response.status >= 400:
                await _discard(response)
                if not is_own:
                    raise delivery_error(response.status, response.headers)
                raise error_of(response.status, response.headers, missing=missing, with_token=with_token)
            return Answer(response, tuple(own_headers), url)
        raise UpstreamUnavailable("The hub redirects in a circle.", code="upstream/redirect-refused")

    async def _ask(self, url: URL, headers: Mapping[str, str], form: str | None) -> aiohttp.ClientResponse:
        if self._session is None:
            raise UpstreamUnavailable("The upstream is not started.")
        host = host_of(url)
        self.circuits.check(host)
        try:
            method = "GET" if form is None else "POST"
            # From the queue for a connection over DNS to the response's headers: nothing may hang unbounded.
            async with asyncio.timeout(self._config.connect_timeout_s + self._config.read_timeout_s):
                response = await self._session.request(method, url, headers=headers, data=form, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            found = trouble(error)
            # A plain time-out may be our own: the wait for one of our connections is in it.
            if isinstance(found, PassingTrouble) and type(error) is not TimeoutError:
                is_down = isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError))
                self._failed(url, "" if is_down else self._subject(url), str(found), is_timeout=found.timeout)
            raise found from None
        if response.status >= 500:
            self._failed(url, self._subject(url), f"it answered {response.status}", is_timeout=response.status == 504)
        else:
            self.circuits.answered(host)
        return response

    def _subject(self, url: URL) -> str:
        return subject_of(url, is_own=self.guard.is_own(url))

    def _failed(self, url: URL, subject: str, cause: str, *, is_timeout: bool) -> None:
        host = host_of(url)
        if self.circuits.failed(host, subject, cause.rstrip("."), is_timeout=is_timeout):
            probing = asyncio.get_running_loop().create_task(self._probe(host, url.origin()))
            self._probes.add(probing)
            probing.add_done_callback(self._probes.discard)

    async def _probe(self, host: str, origin: URL) -> None:
        """Ask an open host now and then, until it answers. Nothing of any client is in the question."""
        url = URL(f"{self._config.base_url}{_PROBE_PATH}") if self.guard.is_own(origin) else origin
        while (pause_s := self.circuits.pause_s(host)) > 0 and self._session is not None:
            await self._sleep(pause_s)
            try:
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    response = await self._session.head(url, allow_redirects=False)
            except (aiohttp.ClientError, TimeoutError):
                continue
            response.close()
            if response.status < 500:
                self.circuits.answered(host)

    def _authorization(self, with_token: bool) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._config.token}"} if with_token and self._config.token else {}


async def _discard(response: aiohttp.ClientResponse) -> None:
    """Read a short body that nobody needs, so that its connection can be used again; else close it."""
    if response.content_length is not None and response.content_length <= DISCARDED_BYTES:
        left = DISCARDED_BYTES
        try:
            while left > 0 and (chunk := await response.content.read(left)):
                left -= len(chunk)
        except (aiohttp.ClientError, TimeoutError):
            pass  # the status and headers are all that was wanted
    response.close()


async def translated(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """The body in chunks of at most 1 MiB; the client library's errors become UpstreamErrors."""
    try:
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            yield chunk
    except (aiohttp.ClientError, TimeoutError) as error:
        raise trouble(error) from None


def trouble(error: Exception) -> UpstreamError:
    """A network failure in our words; addresses and URLs (which may be signed) are not repeated."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused):
        return UpstreamUnavailable(f"{error.os_error}.", code="upstream/address-refused")
    if isinstance(error, TimeoutError):
        return PassingTrouble("The hub did not answer in time.", timeout=True)
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError)):
        return PassingTrouble("The hub cannot be reached.")
    if isinstance(error, aiohttp.ClientPayloadError):
        return PassingTrouble("The hub's answer was cut short.")
    if isinstance(error, (aiohttp.InvalidURL, ValueError)):
        return malformed("The hub's redirect is no valid URL.")
    return PassingTrouble(f"The connection to the hub failed ({type(error).__name__}).")


def _target(url: URL, location: str) -> URL:
    """Where a redirect leads; kept exactly as written, because signatures cover it."""
    if not location or not all("!" <= c <= "~" for c in location):
        raise malformed("The hub redirected without a readable target.")
    try:
        return url.join(URL(location, encoded=True))
    except ValueError:
        raise malformed("The hub's redirect is no valid URL.") from None
