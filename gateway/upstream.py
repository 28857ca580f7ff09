"""The one door to providers: a pooled HTTP client with its limits. No retries, no redirects, no cookies."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import NamedTuple

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from gateway.config import Timeouts

_READ_BUFFER = 64 * 1024  # twice this is read ahead of a slow reader
_DNS_SECONDS = 30
_FINISH_SECONDS = 0.5
_CONNECT_MARGIN = 0.25


class UpstreamFailed(Exception):
    """The provider gave no whole answer. `reached` says whether it may have begun to work on the call."""

    def __init__(self, code: str, message: str, *, reached: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reached = reached
        self.timed_out = timed_out


class Stream:
    """An answer's parts, as they arrive. Reading waits for the one who asks: a slow reader slows the provider down."""

    def __init__(self, response: aiohttp.ClientResponse, first: bytes, *, idle: float) -> None:
        self._response = response
        self._idle = idle
        self._first: bytes | None = first

    async def part(self) -> bytes:
        """The next part; b"" at the end. Raises UpstreamFailed."""
        if self._first is not None:
            part, self._first = self._first, None
            return part
        try:
            # After a malformed chunk aiohttp neither returns nor raises: the limit is ours.
            async with asyncio.timeout(self._idle):
                return await self._response.content.readany()
        except TimeoutError as error:
            raise UpstreamFailed(
                "upstream_timeout", "The provider's stream stalled.", reached=True, timed_out=True
            ) from error
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            raise UpstreamFailed("upstream_interrupted", "The provider's stream broke off.", reached=True) from error

    async def finish(self) -> None:
        """Read what follows the end mark, so that the connection can be used again, but not for long."""
        try:
            async with asyncio.timeout(_FINISH_SECONDS):
                while await self.part():
                    pass
        except (TimeoutError, UpstreamFailed):
            return  # nobody waits for it: closing is enough

    def close(self) -> None:
        """Give the connection back when the stream was read to its end, else drop it."""
        self._response.close()


class Answer(NamedTuple):
    """A provider's answer: whole (`body`), or begun (`stream`). `began` is when its head came (perf_counter)."""

    status: int
    headers: CIMultiDictProxy[str]
    began: float
    body: bytes
    stream: Stream | None = None


class Upstream:
    """Posts calls to providers. Whatever goes wrong becomes UpstreamFailed."""

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the pool of connections."""
        self._session = aiohttp.ClientSession(
            trace_configs=[_tracing()],
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=_DNS_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            # How long an answer may take is limited where it is read: whole ones and streams differ.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect),
            auto_decompress=True,
            trust_env=False,
            read_bufsize=_READ_BUFFER,
            skip_auto_headers=("User-Agent",),
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def post(self, url: URL, headers: CIMultiDict[str], body: bytes, *, stream: bool) -> Answer:
        """Send a call. A stream's answer comes back once its first byte is there; every other answer whole.

        Close the answer's `stream` when done with it. Raises UpstreamFailed.
        """
        if self._session is None:
            raise RuntimeError("The client was not started.")
        sent = _Sent()
        response: aiohttp.ClientResponse | None = None
        begun: Stream | None = None
        limits = self._timeouts
        # A connection that is not made has its own, shorter limit, which must be the one that is met.
        seconds = max(limits.first_byte if stream else limits.total, limits.connect + _CONNECT_MARGIN)
        try:
            async with asyncio.timeout(seconds):
                response = await self._session.post(
                    url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=sent
                )
                began = time.perf_counter()
                if 300 <= response.status < 400:
                    raise UpstreamFailed(
                        "upstream_redirect", "The provider's address answered with a redirect.", reached=False
                    )
                if stream and response.status == 200 and response.content_type == "text/event-stream":
                    begun = Stream(response, await response.content.readany(), idle=limits.idle)
                    return Answer(response.status, response.headers, began, b"", begun)
                return Answer(response.status, response.headers, began, await response.read())
        except TimeoutError as error:
            raise UpstreamFailed(
                "upstream_timeout", "The provider did not answer in time.", reached=sent.begun, timed_out=True
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise UpstreamFailed("upstream_unreachable", "The provider cannot be reached.", reached=False) from error
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            raise UpstreamFailed(
                "upstream_interrupted", "The provider broke off before its answer was complete.", reached=sent.begun
            ) from error
        finally:
            if response is not None and begun is None:
                response.close()  # no more than a formality for an answer that was read whole


class _Sent:
    """Whether anything of one call left this machine."""

    def __init__(self) -> None:
        self.begun = False


def _tracing() -> aiohttp.TraceConfig:
    async def note(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
        context.trace_request_ctx.begun = True

    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(note)
    return tracing
