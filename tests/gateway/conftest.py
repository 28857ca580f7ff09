"""A sandbox, a replaying provider, and a gateway before each: shared by all tests of a process, told apart by keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.gateway.peers import GatewayUnderTest, IssuedKey, Program, ReplayingProvider
from tests.ports import free_port

PROVIDERS = ("OPENAI", "ANTHROPIC", "GOOGLE", "MISTRAL", "DEEPSEEK", "X_AI", "OPENROUTER")


@pytest.fixture(scope="session")
def sandbox_port() -> Iterator[int]:
    port = free_port()
    sandbox = Program("gateway.sandbox", env={"SPENDOPS_SANDBOX_PORT": str(port)})
    sandbox.ready(f"http://127.0.0.1:{port}/health")
    yield port
    assert sandbox.end() == 0


@pytest.fixture(scope="session")
def gateway(sandbox_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayUnderTest]:
    """A gateway whose providers are all the sandbox."""
    started = GatewayUnderTest(
        tmp_path_factory.mktemp("gateway"), settings={"SPENDOPS_SANDBOX_PORT": str(sandbox_port)}
    )
    started.publish_prices()
    yield started.start()
    started.close()


@pytest.fixture
def make_gateway(sandbox_port: int, tmp_path: Path) -> Iterator[Callable[..., GatewayUnderTest]]:
    """Make a gateway for one test alone; it is not started yet."""
    made: list[GatewayUnderTest] = []

    def make(**settings: str) -> GatewayUnderTest:
        gateway = GatewayUnderTest(tmp_path, settings={"SPENDOPS_SANDBOX_PORT": str(sandbox_port), **settings})
        made.append(gateway)
        gateway.publish_prices()
        return gateway

    yield make
    for gateway in made:
        gateway.close()


@pytest.fixture(scope="session")
def replaying_provider() -> Iterator[ReplayingProvider]:
    started = ReplayingProvider()
    yield started
    started.close()


@pytest.fixture(scope="session")
def replayed(
    replaying_provider: ReplayingProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayUnderTest]:
    """A gateway whose providers are all the replaying one, called with real-looking credentials."""
    settings = {"SPENDOPS_SANDBOX": "false"}
    for name in PROVIDERS:
        settings[f"SPENDOPS_PROVIDER_{name}_BASE_URL"] = replaying_provider.url
        settings[f"SPENDOPS_PROVIDER_{name}_API_KEY"] = f"sk-{name.lower()}"
    started = GatewayUnderTest(
        tmp_path_factory.mktemp("replayed"), settings={**settings, "SPENDOPS_UPSTREAM_FIRST_BYTE_SECONDS": "2"}
    )
    started.publish_prices()
    yield started.start()
    started.close()


@pytest.fixture
def provider(replaying_provider: ReplayingProvider) -> ReplayingProvider:
    replaying_provider.seen.clear()
    return replaying_provider


@pytest.fixture
def key(gateway: GatewayUnderTest) -> IssuedKey:
    return gateway.issue()


@pytest.fixture
def replayed_key(replayed: GatewayUnderTest) -> IssuedKey:
    return replayed.issue()


@pytest.fixture
def openai_client() -> Iterator[Callable[..., OpenAI]]:
    """Official OpenAI clients, closed after the test."""
    made: list[OpenAI] = []

    def make(key: IssuedKey | str, url: str = "", **options: Any) -> OpenAI:
        text, base = (key, url) if isinstance(key, str) else (key.text, key.gateway.url)
        made.append(OpenAI(api_key=text, base_url=f"{base}/v1", max_retries=0, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def anthropic_client() -> Iterator[Callable[..., Anthropic]]:
    """Official Anthropic clients, closed after the test."""
    made: list[Anthropic] = []

    def make(key: IssuedKey, **options: Any) -> Anthropic:
        made.append(Anthropic(api_key=key.text, base_url=key.gateway.url, max_retries=0, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()
