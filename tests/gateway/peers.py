"""Real processes and real sockets for the gateway's tests: the gateway itself, the sandbox, a provider that replays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

from tests.gateway.prices import writes
from tests.ports import free_port
from wire.config import Config
from wire.documents import (
    META_ENV,
    SCHEMA,
    Block,
    KeyPolicy,
    KeyStatus,
    Selected,
    TenantRouting,
    TenantState,
    encode,
    key_document,
    routing_document,
    tenant_document,
)
from wire.env import Env
from wire.events import DenialEvent, UsageEvent, decode_denial, decode_usage
from wire.keys import key_hash, new_key
from wire.kv.base import Outcome, Write
from wire.queues.base import DENIALS, USAGE

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 20.0
T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, seconds: float = DEADLINE) -> T:
    """Wait until a condition gives something true, and return that."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen within {seconds} s")


class Program:
    """A program of ours as a process of its own."""

    def __init__(self, *arguments: str, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONWARNINGS": "ignore", **env},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)

    def ready(self, url: str) -> None:
        """Wait until the program answers at an address."""

        def answers() -> bool:
            assert self.process.poll() is None, f"the program ended: {''.join(self.said)}"
            try:
                return httpx.get(url, timeout=1).status_code in (200, 503)
            except httpx.TransportError:
                return False

        wait_for(answers, f"an answer at {url}")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(DEADLINE)
        self._listener.join(DEADLINE)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


class GatewayUnderTest:
    """A gateway process with a data folder of its own, and what stands around it: KV, queues, keys."""

    def __init__(self, data: Path, *, env: str = "dev", settings: dict[str, str] | None = None) -> None:
        self.data, self.env = data, env
        self.port = free_port()
        self.settings = {
            "SPENDOPS_DATA": str(data),
            f"SPENDOPS_GATEWAY_PORT_{env.upper()}": str(self.port),
            **(settings or {}),
        }
        self.config = Config.load(Env(self.settings))
        self.kv = self.config.open_kv(env)
        self._queues = {kind: self.config.open_queue(kind, env) for kind in (USAGE, DENIALS)}
        self._usage: list[UsageEvent] = []
        self._denials: list[DenialEvent] = []
        self._rev = 0
        self.program: Program | None = None

    # -- process

    def start(self) -> GatewayUnderTest:
        self.program = Program("gateway", "--env", self.env, env=self.settings)
        self.program.ready(f"{self.url}/health")
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.program is not None
        return self.program.end(number)

    def close(self) -> None:
        if self.program is not None:
            self.program.end()
        self.kv.close()
        for queue in self._queues.values():
            queue.close()

    @property
    def pid(self) -> int:
        assert self.program is not None
        return self.program.process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def health(self) -> dict[str, Any]:
        return httpx.get(f"{self.url}/health", timeout=5).json()

    # -- what the management plane would publish

    def rev(self) -> int:
        self._rev += 1
        return self._rev

    def write(self, *documents: Write) -> None:
        assert set(self.kv.write(documents)) <= {Outcome.APPLIED, Outcome.REPEATED}

    def claim(self) -> None:
        """Mark the namespace as this environment's, as the publisher does before it writes anything."""
        self.kv.add(META_ENV, encode({"schema": SCHEMA, "env": self.env}))

    def publish_prices(self, version: int = 1, factor: int = 1) -> None:
        self.write(*writes(version, self.env, factor))

    def issue(self, **policy: Any) -> IssuedKey:
        made = new_key(self.env)
        tenant = policy.pop("tenant", f"t_{made.public_id.lower()[:9]}")
        issued = IssuedKey(self, made.text, made.public_id, tenant)
        issued.publish(**policy)
        return issued

    def block_tenant(self, tenant: str, block: Block | None = None, **said: Any) -> None:
        state = TenantState(rev=self.rev(), env=self.env, tenant=tenant, block=block, **said)
        self.write(Write(tenant_document(tenant), state.rev, encode(state)))

    def select(self, tenant: str, *selections: Selected) -> int:
        """Publish what a tenant's tiers stand for; returns the document's rev."""
        routing = TenantRouting(rev=self.rev(), env=self.env, tenant=tenant, selections=selections)
        self.write(Write(routing_document(tenant), routing.rev, encode(routing)))
        return routing.rev

    # -- what came out

    def _drain(self) -> None:
        for kind, decode, into in (
            (USAGE, decode_usage, self._usage),
            (DENIALS, decode_denial, self._denials),
        ):
            while messages := self._queues[kind].claim():
                into.extend(decode(message.body) for message in messages)  # type: ignore[attr-defined]
                self._queues[kind].acknowledge(messages)

    def usage(self, key: IssuedKey | None = None) -> list[UsageEvent]:
        self._drain()
        return [event for event in self._usage if key is None or event.key == key.id]

    def denials(self, key: IssuedKey | None = None) -> list[DenialEvent]:
        self._drain()
        return [event for event in self._denials if key is None or event.key == key.id]

    def one_event(self, key: IssuedKey) -> UsageEvent:
        """The single usage event of a key, which may still be on its way."""
        wait_for(lambda: self.usage(key), "a usage event")
        (event,) = self.usage(key)
        return event

    def one_denial(self, key: IssuedKey) -> DenialEvent:
        (event,) = self.denials(key)
        return event


@dataclass
class IssuedKey:
    """A key that was published to a gateway's KV."""

    gateway: GatewayUnderTest
    text: str
    id: str
    tenant: str
    policy: dict[str, Any] = field(default_factory=dict)

    @property
    def document(self) -> str:
        return key_document(key_hash(self.text, self.gateway.config.pepper))

    def publish(self, **changes: Any) -> int:
        """Publish the key's policy with changes; returns its rev."""
        self.policy |= changes
        rev = self.gateway.rev()
        fields = {"env": self.gateway.env, "tenant": self.tenant, "project": "p_test", "key": self.id} | self.policy
        self.gateway.write(Write(self.document, rev, encode(KeyPolicy(rev=rev, **fields))))
        return rev

    def revoke(self) -> int:
        return self.publish(status=KeyStatus.REVOKED)

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        """A plain HTTP call, for what official clients do not show."""
        return httpx.post(
            self.gateway.url + path,
            content=body if isinstance(body, bytes) else msgspec.json.encode(body),
            headers={"authorization": f"Bearer {self.text}", "content-type": "application/json", **(headers or {})},
            timeout=DEADLINE,
            **options,
        )

    def chat(self, text: str = "Hello", headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]} | fields
        return self.post("/v1/chat/completions", body, headers)


@dataclass
class Reply:
    """What a replaying provider answers. A list of parts is streamed; `cut` drops the connection after them."""

    body: Any = b""
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    garbage: bytes = b""  # follows the parts where a chunk should; the connection stays open
    seen: threading.Event | None = None  # the garbage waits for it, so that it does not arrive with the parts
    gate: threading.Event | None = None  # nothing is answered before it is set


@dataclass
class Seen:
    """A request as a provider got it."""

    path: str
    headers: dict[str, str]
    body: Any


class ReplayingProvider:
    """A provider that answers what it was told to, byte for byte, and remembers what it was sent."""

    def __init__(self) -> None:
        self.reply = Reply()
        self.seen: list[Seen] = []
        replayer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                replayer.seen.append(Seen(self.path, headers, msgspec.json.decode(raw)))
                replayer.answer(self)

            def log_message(self, *arguments: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a gateway that hangs up is part of what is tested

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def answers(self, body: Any, **options: Any) -> None:
        self.reply = Reply(body if isinstance(body, bytes | list) else msgspec.json.encode(body), **options)
        self.seen.clear()

    def streams(self, *events: Any, end: bytes = b"data: [DONE]\n\n", **options: Any) -> None:
        """Answer with server-sent events: bytes as they are, anything else as JSON data (with its type as name)."""
        parts = [each if isinstance(each, bytes) else _event(each) for each in events]
        self.answers([*parts, *([end] if end else [])], content_type="text/event-stream", **options)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        reply = self.reply
        if reply.gate is not None:
            reply.gate.wait(DEADLINE)
        handler.send_response(reply.status)
        handler.send_header("content-type", reply.content_type)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        parts = reply.body if isinstance(reply.body, list) else [reply.body]
        if isinstance(reply.body, list):
            handler.send_header("transfer-encoding", "chunked")
        else:
            handler.send_header("content-length", str(len(reply.body) + (10 if reply.cut else 0)))
        handler.end_headers()
        for part in parts:
            data = b"%x\r\n%s\r\n" % (len(part), part) if isinstance(reply.body, list) else part
            handler.wfile.write(data)
            handler.wfile.flush()
        if reply.garbage:
            if reply.seen is not None:
                reply.seen.wait(DEADLINE)
            handler.wfile.write(reply.garbage)
        elif reply.cut:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
        elif isinstance(reply.body, list):
            handler.wfile.write(b"0\r\n\r\n")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE)


def _event(document: dict[str, Any]) -> bytes:
    name = f"event: {document['type']}\n" if "type" in document else ""
    return name.encode() + b"data: " + msgspec.json.encode(document) + b"\n\n"
