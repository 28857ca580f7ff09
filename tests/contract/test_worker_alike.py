"""The reference Worker gives what our gateway's code gives, also where no case says so."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import httpx
import msgspec
import pytest

from gateway.rules import HTTP_STATUS, Asked, decide
from tests.cloudflare.peer import PEPPERS, WORKER, Peer
from tests.contract.cases import encoded
from tests.contract.gateway import Gateway
from tests.contract.worker import Worker, publish
from tests.wire.test_contract import load
from wire.documents import KeyPolicy, encode, key_document
from wire.keys import key_hash, new_key
from wire.units import INPUT_TOKENS, OPTIONAL, UNITS

PEPPER = PEPPERS["SPENDOPS_KEY_PEPPER_V2"].encode()
NOW = 1795262870262


@pytest.fixture
def dev(cloudflare: Peer, http: httpx.Client) -> Worker:
    """The Worker of dev, over an empty namespace."""
    return Worker(cloudflare, "dev", http)


def policy_of(number: int, key: str, **fields: object) -> tuple[str, KeyPolicy]:
    fields = {"tenant": f"t_{number}", "project": "p", "key": "k", "rev": 1, "env": "dev", **fields}
    return key_document(key_hash(key, PEPPER)), KeyPolicy(**fields)


def test_the_worker_decides_the_smaller_contract_too(dev, cloudflare):
    """Every case of decisions.json, each with a key and a tenant of its own."""
    cases = load("decisions.json")["cases"]
    documents: dict[str, bytes] = {}
    keys = [new_key("dev").text for _ in cases]
    for number, (key, case) in enumerate(zip(keys, cases, strict=True)):
        tenant = f"t_{number}"
        documents[key_document(key_hash(key, PEPPER))] = msgspec.json.encode(case["policy"] | {"tenant": tenant})
        if case["tenant"]:
            documents[f"tenant:{tenant}"] = msgspec.json.encode(case["tenant"] | {"tenant": tenant})
    publish(cloudflare, "dev", documents)
    for key, case in zip(keys, cases, strict=True):
        answer = dev.answer(key, {**case["asked"], "now": case["now"], "address": case.get("address", "")})
        assert answer["reason"] == (case["reason"] or ""), case["about"]
        assert answer["message"] == case.get("message", answer["message"]), case["about"]


def test_the_worker_prices_the_smaller_contract_too(dev, cloudflare):
    """Every case of cost.json, as the price of a model of its own."""
    cases = [case for case in load("cost.json")["cases"] if sum(case["units"].values()) < 2**53]
    names = [f"model-{number}" for number in range(len(cases))]
    models = {name: {"periods": [{"prices": case["prices"]}]} for name, case in zip(names, cases, strict=True)}
    rules = [[{"equals": name}, name] for name in names]
    blob = {
        "schema": 1,
        "rev": 1,
        "env": "dev",
        "version": 1,
        "models": {"p": models},
        "providers": {"p": {"rules": rules}},
    }
    key = new_key("dev").text
    name, policy = policy_of(1, key)
    publish(
        cloudflare,
        "dev",
        encoded({"pricing:blob": blob, "pricing:version": {"schema": 1, "rev": 1, "env": "dev", "version": 1}})
        | {name: encode(policy)},
    )
    assert len(cases) > 8
    for name, case in zip(names, cases, strict=True):
        answer = dev.answer(key, {"provider": "p", "model": name, "units": case["units"]})
        assert answer["cost_pico"] == (None if case["total"] is None else str(case["total"])), case["about"]
        assert answer["unpriced"] == case["unpriced"], case["about"]


def test_wildcards_mean_the_same_whatever_they_look_like(dev, cloudflare):
    """Patterns made of every sign that has a meaning, against Python's."""
    draw = random.Random(20261121)
    letters = [
        "a",
        "b",
        "c",
        "A",
        "-",
        "!",
        "]",
        "[",
        "*",
        "?",
        "^",
        "\\",
        "/",
        ".",
        "é",
        "&&",
        "[a-c]",
        "[!b]",
        "[]-]",
    ]
    plain = [letter for letter in letters if len(letter) == 1 and letter not in "*?"]
    questions, documents = [], {}
    for number in range(200):
        key = new_key("dev").text
        patterns = ["".join(draw.choices(letters, k=draw.randint(0, 5))) for _ in range(draw.randint(1, 3))]
        models = ["".join(draw.choices(plain, k=draw.randint(1, 4))) for _ in range(3)]
        field = draw.choice(["allowed_models", "denied_models"])
        name, policy = policy_of(number, key, **{field: tuple(patterns)})
        documents[name] = encode(policy)
        questions.append((key, policy, models))
    publish(cloudflare, "dev", documents)
    refused = 0
    for key, policy, models in questions:
        for model in models:
            expected = decide(policy, None, Asked("openai", model), env="dev", now=NOW, address="")
            answer = dev.answer(key, {"provider": "openai", "model": model, "now": NOW})
            assert answer["allowed"] is (expected is None), (policy.allowed_models, policy.denied_models, model)
            refused += expected is not None
    assert 150 < refused < 550


def test_networks_mean_the_same_whatever_they_look_like(dev, cloudflare):
    networks = [
        *("0.0.0.0/0", "10.0.0.0/8", "10.1.2.3/8", "10.1.2.3", "10.1.2.3/32", "::10.1.2.3/120", "::/0", "::1"),
        *("10.01.2.3/8", "10.1.2/8", "10.1.2.3/", "/8", "10.1.2.3/8/8", "10.1.2.3/-1", "10.1.2.3/33", "", "*"),
        *("2001:db8::/32", "2001:db8::1:0:0/96", "::ffff:10.0.0.0/104", "::ffff:0:0/96", "::ffff:0:0/95"),
        *("1:2:3:4:5:6:7:8/128", "1:2:3:4:5:6:7::/112", "::2:3:4:5:6:7:8/113", "fe80::%eth0/64"),
        *("1::2::3/8", "12345::/16", "2001:db8::/129", "2001:db8:: /32"),
    ]
    addresses = [
        *("10.1.2.3", "10.200.0.1", "11.0.0.1", "::ffff:10.1.2.3", "::ffff:a01:203", "::10.1.2.3", "::1", "::"),
        *("2001:db8::1", "2001:DB8:0:0:0:1::", "2001:db9::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "fe80::1%eth0"),
        *("0:2:3:4:5:6:7:8", "fe80::1", "fe80::1%", "10.1.2.256", "010.1.2.3", "10.1.2.3 ", "1:2:3:4:5:6:7:8:9"),
        *("١٠.1.2.3", "localhost"),
    ]
    questions, documents = [], {}
    for number, network in enumerate(networks):
        key = new_key("dev").text
        name, policy = policy_of(number, key, networks=(network,))
        documents[name] = encode(policy)
        questions.append((key, policy))
    publish(cloudflare, "dev", documents)
    for key, policy in questions:
        for address in addresses:
            expected = decide(policy, None, Asked("openai", "m"), env="dev", now=NOW, address=address)
            answer = dev.answer(key, {"provider": "openai", "model": "m", "now": NOW, "address": address})
            assert answer["reason"] == (expected.reason.value if expected else ""), (policy.networks, address)
            assert answer["message"] == (expected.message if expected else "")


def test_prices_stay_until_the_blob_that_was_announced_is_there(dev, cloudflare):
    key = new_key("dev").text
    name, policy = policy_of(1, key)

    def blob(version: int) -> dict[str, bytes]:
        model = {"m": {"periods": [{"prices": {"input": version}}]}}
        rules = {"p": {"rules": [[{"equals": "m"}, "m"]]}}
        return encoded(
            {
                "pricing:blob": {
                    "schema": 1,
                    "rev": version,
                    "env": "dev",
                    "version": version,
                    "models": {"p": model},
                    "providers": rules,
                }
            }
        )

    def announced(version: int) -> dict[str, bytes]:
        return encoded({"pricing:version": {"schema": 1, "rev": version, "env": "dev", "version": version}})

    def paid() -> tuple[str, int]:
        answer = dev.answer(key, {"provider": "p", "model": "m", "units": {"input": 1}})
        return answer["cost_pico"], answer["price_version"]

    publish(cloudflare, "dev", {name: encode(policy), **blob(3), **announced(3)})
    assert paid() == ("3", 3)
    publish(cloudflare, "dev", announced(4), rev=4)
    assert paid() == ("3", 3)
    publish(cloudflare, "dev", {"pricing:blob": b"{"}, rev=4)
    assert paid() == ("3", 3)
    publish(cloudflare, "dev", blob(4), rev=4)
    assert paid() == ("4", 4)
    publish(cloudflare, "dev", blob(5), rev=5)  # not announced yet
    assert paid() == ("4", 4)
    publish(cloudflare, "dev", announced(5), rev=5)
    assert paid() == ("5", 5)


@pytest.mark.django_db
def test_the_whole_catalogue_is_matched_and_priced_alike(dev, cloudflare, price_book):
    """Names of real models as people write them, against the real price list and its rules."""
    key = new_key("dev").text
    name, policy = policy_of(1, key)
    version = price_book.version
    documents = {
        "pricing:blob": msgspec.json.encode(price_book.blob),
        "pricing:version": msgspec.json.encode({"schema": 1, "rev": 1, "env": "dev", "version": version}),
        name: encode(policy),
    }
    publish(cloudflare, "dev", documents)
    ours = Gateway("dev", [PEPPER], documents)
    draw = random.Random(20261121)
    known = [(provider, model) for provider, models in price_book.blob.models.items() for model in models]
    priced = 0
    for provider, model in draw.sample(known, 500):
        written = draw.choice([model, model, model.upper(), f"{model}-20260101", f"{model}-preview", f"x/{model}"])
        asked = {
            "provider": draw.choice([provider, provider, provider, provider, "azure", "openrouter"]),
            "model": written,
            "address": "",
            "now": NOW - draw.randrange(3 * 365 * 86_400_000),
            "units": {
                "requests": 1,
                "input": draw.randrange(300_000),
                "output": 7,
                "cache_read": draw.randrange(2) * 999,
            },
            "service_tier": draw.choice(["", "batch", "flex", "priority", "fast"]),
        }
        expected = ours.answer(key, asked)
        assert dev.answer(key, asked) == expected, asked
        priced += expected["cost_pico"] is not None
    assert 150 < priced < 450


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "The body must be a JSON object."),
        ("x", "The body must be a JSON object."),
        ({"key": 5}, "The field 'key' must be a text."),
        ({"also": ["a", 1]}, "The field 'also' must be a list of models."),
        ({"now": "soon"}, "The field 'now' must be a time in milliseconds since 1970."),
        ({"now": -1}, "The field 'now' must be a time in milliseconds since 1970."),
        ({"now": 1e16}, "The field 'now' must be a time in milliseconds since 1970."),
        ({"units": [1]}, "The field 'units' must be an object of counts."),
        ({"units": {"input": -1}}, "A call cannot use -1 of input."),
        ({"units": {"input": 1.5}}, "A call cannot use 1.5 of input."),
        ({"units": {"input": "1"}}, "A call cannot use 1 of input."),
    ],
)
def test_a_question_that_makes_no_sense_is_told_so(dev, body, said):
    response = dev.post(body)
    assert (response.status_code, response.json()["detail"]) == (400, said)


def test_there_is_only_one_door(cloudflare, http):
    assert http.get(cloudflare.edge("dev")).status_code == 404
    assert http.post(cloudflare.edge("dev", "/other"), json={}).status_code == 404
    response = http.post(cloudflare.edge("dev"), content=b"{")
    assert (response.status_code, response.json()["detail"]) == (400, "The body is not JSON.")


def test_the_workers_tables_are_ours():
    script = """
        import { HTTP_STATUS } from "./rules.js";
        import { INPUT_TOKENS, OPTIONAL, fallbacksOf } from "./units.js";
        const fallbacks = Object.fromEntries(JSON.parse(process.argv[1]).map((unit) => [unit, fallbacksOf(unit)]));
        console.log(JSON.stringify({ HTTP_STATUS, input: [...INPUT_TOKENS], optional: [...OPTIONAL], fallbacks }));
    """
    command = ["node", "--no-warnings", "--input-type=module", "-e", script, json.dumps(list(UNITS))]
    run = subprocess.run(command, cwd=Path(WORKER).parent, capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 0, run.stderr
    theirs = json.loads(run.stdout)
    assert theirs["HTTP_STATUS"] == {reason.value: status for reason, status in HTTP_STATUS.items()}
    assert set(theirs["input"]) == INPUT_TOKENS
    assert set(theirs["optional"]) == OPTIONAL
    assert theirs["fallbacks"] == {name: list(unit.fallbacks) for name, unit in UNITS.items()}
