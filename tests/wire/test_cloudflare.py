"""What is Cloudflare's own about the store: its limits, its refusals, its way of listing. On Cloudflare's runtime."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote

import httpx
import pytest

from tests.cloudflare.peer import Peer
from tests.faults.http import Proxy, answering, faulty
from wire.kv.base import (
    DocumentRefusedError,
    Outcome,
    StoreRefusedError,
    StoreUnavailableError,
    Write,
    digest_of,
)
from wire.kv.cloudflare import UNKNOWN_DIGEST, CloudflareKV
from wire.kv.pace import Pace

TAKEN = json.dumps({"success": True, "errors": [], "messages": [], "result": {}}).encode()


@pytest.fixture
def kv(cloudflare: Peer) -> Iterator[CloudflareKV]:
    """The namespace of dev."""
    opened = cloudflare.open("dev")
    yield opened
    opened.close()


@pytest.fixture
def proxy(cloudflare_runtime: Peer) -> Iterator[Proxy]:
    """What stands between the store and Cloudflare."""
    with faulty(cloudflare_runtime.url) as found:
        yield found


@pytest.fixture
def behind(cloudflare: Peer, proxy: Proxy) -> Iterator[CloudflareKV]:
    """The namespace of dev, reached through the proxy, with a pace of its own."""
    pace = Pace(1000, 300)
    opened = CloudflareKV(cloudflare.address("dev", through=proxy.url), token=cloudflare.token, pace=pace)
    yield opened
    opened.close()


def others_write(peer: Peer, key: str, body: bytes) -> None:
    """Somebody else, such as a person at Cloudflare's dashboard, writes a value without our metadata."""
    address = f"{peer.address('dev')}/values/{quote(key, safe='')}"
    headers = {"authorization": f"Bearer {peer.token}"}
    httpx.put(address, content=body, headers=headers, timeout=10).raise_for_status()


@pytest.mark.parametrize(
    "key",
    [
        "missing:openrouter:meta/llama-3%20x",
        "key:with space/and?query&more=1#part+plus",
        "key:…é漢",
        "a/../b",
        "%2e%2e",
        'quote"back\\slash',
    ],
)
def test_any_key_is_the_same_key_everywhere(kv, key):
    kv.write([Write(key, 3, b"{}")])
    assert kv.get(key) == b"{}"
    assert kv.entry(key) == (key, 3, digest_of(b"{}"), b"{}")
    assert [entry.key for entry in kv.list("").entries] == [key]
    assert kv.add(key, b"x") is False
    kv.write([Write(key, 4, None)])
    assert kv.get(key) is None


@pytest.mark.parametrize("body", [b"", b"\xff\x00\xfe", '{"name":"Zoë 漢 \\u2028"}'.encode(), b"\xef\xbb\xbfbom"])
def test_bodies_come_back_as_they_were(kv, body):
    kv.write([Write("key:a", 1, body)])
    assert kv.get("key:a") == body
    assert kv.entry("key:a") == ("key:a", 1, digest_of(body), body)


def test_of_several_writes_of_a_key_the_newest_rev_stands(kv):
    outcomes = kv.write(
        [
            Write("key:a", 1, b"one"),
            Write("key:b", 1, b"b"),
            Write("key:a", 3, b"three"),
            Write("key:a", 3, b"three"),
            Write("key:a", 2, b"two"),
            Write("key:b", 2, None),
        ]
    )
    applied, repeated, stale = Outcome.APPLIED, Outcome.REPEATED, Outcome.STALE
    assert outcomes == [applied, applied, applied, repeated, stale, applied]
    assert kv.get("key:a") == b"three"
    assert kv.get("key:b") is None


def test_without_compare_and_set_an_older_rev_is_applied(kv):
    kv.write([Write("key:a", 5, b"five")])
    assert kv.write([Write("key:a", 4, b"four")]) == [Outcome.APPLIED]
    assert kv.entry("key:a").rev == 4


def test_a_listing_tells_rev_and_digest_of_everything(cloudflare, kv):
    kv.write([Write(f"key:{n:04d}", n, b"%d" % n) for n in range(1, 2101)] + [Write("tenant:t", 1, b"x")])
    others_write(cloudflare, "key:9999", b"by hand")
    sizes, entries, after = [], [], ""
    while not sizes or after:
        page = kv.list("key:", after=after)
        after = page.after
        sizes.append(len(page.entries))
        entries += page.entries
    assert sizes == [1000, 1000, 101]
    assert entries[:-1] == [(f"key:{n:04d}", n, digest_of(b"%d" % n), None) for n in range(1, 2101)]
    foreign = entries[-1]
    assert (foreign.key, foreign.rev, foreign.digest, foreign.deleted) == ("key:9999", 0, UNKNOWN_DIGEST, False)


def test_pages_smaller_than_cloudflares_smallest_join_without_a_gap(kv):
    kv.write([Write(f"key:{n:02d}", 1, b"x") for n in range(25)])
    keys, after = [], ""
    while True:
        page = kv.list("key:", after=after, most=3)
        assert len(page.entries) <= 3
        keys += [entry.key for entry in page.entries]
        after = page.after
        if not after:
            break
    assert keys == [f"key:{n:02d}" for n in range(25)]
    assert kv.list("nothing:") == ([], "")


def test_a_cursor_that_is_too_old_asks_for_a_new_listing(behind, proxy):
    proxy.plan(answering(400, b'{"success":false,"errors":[{"code":10026,"message":"cursor expired"}]}'))
    with pytest.raises(StoreUnavailableError, match=r"begun anew\. Cloudflare answered 400: cursor expired"):
        behind.list("key:", after="0 old")


def test_what_somebody_else_wrote_shows_in_the_digest(cloudflare, kv):
    kv.write([Write("key:a", 1, b"ours")])
    others_write(cloudflare, "key:a", b"theirs")
    assert kv.entry("key:a") == ("key:a", 0, digest_of(b"theirs"), b"theirs")


def test_many_entries_are_read_a_hundred_a_call(cloudflare, kv):
    kv.write([Write(f"key:{n:03d}", 1, b"x") for n in range(250)])
    before = cloudflare.calls("bulk/get")
    found = kv.get_many([f"key:{n:03d}" for n in range(260)])
    assert sorted(found) == [f"key:{n:03d}" for n in range(250)]
    assert cloudflare.calls("bulk/get") - before == 3


def test_entries_that_are_too_large_together_are_read_apart(kv):
    large = [Write(f"key:{n}", 1, b"%d" % n * (9 * 2**20)) for n in range(3)]
    kv.write(large)
    found = kv.get_many([write.key for write in large])
    assert {key: entry.digest for key, entry in found.items()} == {w.key: digest_of(w.body) for w in large}


def test_an_expiring_document_is_forgotten_by_cloudflare_itself(cloudflare, kv):
    soon, later = int(time.time()) + 5, int(time.time()) + 86_400
    kv.write([Write("key:a", 1, b"a", soon), Write("key:b", 1, b"b", later), Write("key:c", 1, b"c")])
    headers = {"authorization": f"Bearer {cloudflare.token}"}
    listed = httpx.get(f"{cloudflare.address('dev')}/keys", headers=headers, timeout=10).json()["result"]
    ends = {each["name"]: each.get("expiration") for each in listed}
    assert soon + 50 < ends["key:a"] < soon + 80  # Cloudflare takes no less than a minute
    assert ends["key:b"] == later
    assert ends["key:c"] is None


def test_limits_are_known_before_anything_is_sent(cloudflare, kv):
    longest = "k" * 512
    kv.write([Write(longest, 1, b"x")])
    assert kv.get(longest) == b"x"
    before = cloudflare.calls()
    for bad in [
        Write("é" * 257, 1, b"x"),
        Write("key:a", 1, b"x" * (25 * 2**20 + 1)),
        Write("", 1, b"x"),
        Write("..", 1, b""),
    ]:
        with pytest.raises(DocumentRefusedError):
            kv.write([Write("key:fine", 1, b"x"), bad])
    with pytest.raises(DocumentRefusedError, match=r"514 bytes; Cloudflare takes 512"):
        kv.add("é" * 257, b"x")
    assert kv.get("é" * 257) is None  # there can be nothing
    assert kv.get_many(["..", "é" * 257]) == {}
    assert cloudflare.calls() == before
    assert kv.get("key:fine") is None


def test_calls_are_as_few_as_cloudflares_limits_allow(behind, proxy):
    proxy.plan(*[answering(200, TAKEN)] * 5)
    writes = [Write(f"key:{n}", 1, b"{}") for n in range(20_001)] + [
        Write(f"tenant:{n}", 2, None) for n in range(10_001)
    ]
    assert set(behind.write(writes)) == {Outcome.APPLIED}
    sent = [(seen.method, seen.path.rpartition("/")[2], json.loads(seen.body)) for seen in proxy.seen]
    assert [(method, path, len(elements)) for method, path, elements in sent] == [
        ("PUT", "bulk", 10_000),
        ("PUT", "bulk", 10_000),
        ("PUT", "bulk", 1),
        ("POST", "delete", 10_000),
        ("POST", "delete", 1),
    ]
    assert [pair["key"] for _, path, pairs in sent if path == "bulk" for pair in pairs] == [
        w.key for w in writes[:20_001]
    ]


def test_no_call_is_larger_than_cloudflare_takes(behind, proxy):
    proxy.plan(answering(200, TAKEN), answering(200, TAKEN))
    behind.write([Write(f"pricing:{n}", 1, b"x" * (24 * 2**20)) for n in range(5)])
    assert [len(json.loads(seen.body)) for seen in proxy.seen] == [3, 2]
    assert max(len(seen.body) for seen in proxy.seen) < 100 * 10**6


def test_prices_go_before_the_version_that_names_them(behind, proxy):
    behind.write([Write("pricing:blob", 2, b"{}"), Write("key:a", 1, b"{}"), Write("pricing:version", 2, b"{}")])
    assert [pair["key"] for pair in json.loads(proxy.seen[0].body)] == ["pricing:blob", "key:a", "pricing:version"]


@pytest.mark.parametrize("token", ["x" * 40, "short"], ids=["unknown", "of the wrong form"])
def test_a_token_that_does_not_fit_is_told_with_what_to_do(cloudflare, token):
    kv = CloudflareKV(cloudflare.address("dev"), token=token)
    for call in (lambda: kv.get("key:a"), lambda: kv.list(""), lambda: kv.write([Write("key:a", 1, b"x")])):
        with pytest.raises(StoreRefusedError, match="set a token that is valid and may edit Workers KV") as caught:
            call()
        assert token not in str(caught.value)
    kv.close()


def test_a_token_that_may_only_read_can_read(cloudflare, kv):
    kv.write([Write("key:a", 1, b"x")])
    reading = CloudflareKV(cloudflare.address("dev"), token=cloudflare.reading_token)
    assert reading.entry("key:a").body == b"x"
    with pytest.raises(StoreRefusedError, match="SPENDOPS_CLOUDFLARE_API_TOKEN may not edit this namespace"):
        reading.write([Write("key:a", 2, b"y")])
    with pytest.raises(StoreRefusedError):
        reading.write([Write("key:a", 2, None)])
    reading.close()


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "naïve"])
def test_what_cannot_be_a_token_is_never_sent(cloudflare, token):
    with pytest.raises(StoreRefusedError, match="copy it anew"):
        CloudflareKV(cloudflare.address("dev"), token=token)


def test_a_namespace_or_account_that_is_not_there_is_told_with_what_to_do(cloudflare):
    there = cloudflare.address("dev")
    wrong_namespace = there.replace(cloudflare.namespaces["dev"], "f" * 32)
    wrong_account = there.replace(cloudflare.account, "a" * 32)
    for address, said in [
        (wrong_namespace, "There is no namespace ffffffffffffffffffffffffffffffff in this account"),
        (wrong_account, "may not edit this namespace"),
        (there.replace("/client/v4", "/elsewhere"), "correct the address"),
    ]:
        kv = CloudflareKV(address, token=cloudflare.token)
        for call in (lambda kv=kv: kv.get("key:a"), lambda kv=kv: kv.write([Write("key:a", 1, b"x")])):
            with pytest.raises(StoreRefusedError, match=said):
                call()
        kv.close()


def test_dev_and_prod_are_apart(cloudflare, kv):
    prod = cloudflare.open("prod")
    kv.write([Write("key:a", 1, b"dev")])
    assert prod.get("key:a") is None
    prod.close()


def test_the_token_shows_nowhere(cloudflare, behind, proxy, caplog):
    caplog.set_level(logging.DEBUG)
    echo = json.dumps({"errors": [{"code": 1, "message": f"bad\nheader Bearer {cloudflare.token}"}]}).encode()
    proxy.plan(*[answering(status, echo) for status in (400, 401, 429, 500)])
    told = [repr(behind), str(vars(behind))]
    for _ in range(2):
        with pytest.raises((DocumentRefusedError, StoreRefusedError)) as caught:
            behind.get("key:a")
        told += [str(caught.value), repr(caught.value)]
    for _ in range(2):
        with pytest.raises(StoreUnavailableError) as unavailable:
            behind.get("key:a")
        told += [str(unavailable.value), repr(unavailable.value)]
    assert "bad header Bearer …" in " ".join(told)
    assert cloudflare.token not in " ".join(told) + caplog.text


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 10012, DocumentRefusedError),
        (400, 6003, StoreRefusedError),
        (400, 7003, StoreRefusedError),
        (401, 0, StoreRefusedError),
        (403, 10000, StoreRefusedError),
        (404, 10013, StoreRefusedError),
        (405, 10405, StoreRefusedError),
        (302, 0, StoreRefusedError),
        (408, 0, StoreUnavailableError),
        (413, 0, DocumentRefusedError),
        (414, 10030, DocumentRefusedError),
        (429, 10429, StoreUnavailableError),
        (500, 10013, StoreUnavailableError),
        (503, 10000, StoreUnavailableError),
        (522, 0, StoreUnavailableError),
    ],
)
@pytest.mark.parametrize("in_json", [True, False])
def test_the_status_says_what_kind_of_error_it_is_and_then_the_code(behind, proxy, status, code, kind, in_json):
    body = (
        json.dumps({"success": False, "errors": [{"code": code, "message": "no"}]}).encode() if in_json else b"<html>"
    )
    proxy.plan(answering(status, body))
    expected = DocumentRefusedError if status == 400 and not in_json else kind
    with pytest.raises(expected, match=f"Cloudflare answered {status}"):
        behind.write([Write("key:a", 1, b"x")])
    assert proxy.planned == 0


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry_after": "300"}, 300, 300),
        ({"retry_after": timedelta(minutes=10)}, 595, 600),
        ({"retry_after": "Sat, 21 Nov 2026 10:05:00 GMT", "date": "Sat, 21 Nov 2026 10:00:00 GMT"}, 290, 300),
        ({"retry_after": timedelta(minutes=-10)}, 30, 30),
        ({"retry_after": "soon"}, 30, 30),
        ({"retry_after": "9" * 500}, 86_400, 86_400),
        ({}, 30, 30),
    ],
    ids=["seconds", "date", "date by their clock", "past", "nonsense", "absurd", "unnamed"],
)
def test_a_pause_is_kept_in_full_and_by_every_namespace_of_the_token(cloudflare, proxy, headers, least, most):
    now = [1000.0]
    pace = Pace(1000, 300, clock=lambda: now[0])
    dev, prod = (
        CloudflareKV(cloudflare.address(env, through=proxy.url), token=cloudflare.token, pace=pace)
        for env in ("dev", "prod")
    )
    said = {
        name: format_datetime(datetime.now(UTC) + text, usegmt=True) if isinstance(text, timedelta) else text
        for name, text in headers.items()
    }
    proxy.plan(answering(429, b"", **said))
    with pytest.raises(StoreUnavailableError) as caught:
        dev.write([Write("key:a", 1, b"x")])
    wait = caught.value.retry_after
    assert least <= wait <= most
    for elapsed in (0.0, wait / 2, wait - 0.01):
        now[0] = 1000.0 + elapsed
        for kv in (dev, prod):
            with pytest.raises(StoreUnavailableError) as again:
                kv.get("key:a")
            assert again.value.retry_after == pytest.approx(wait - elapsed)
    assert len(proxy.seen) == 1
    now[0] = 1000.0 + wait
    assert dev.write([Write("key:a", 1, b"x")]) == [Outcome.APPLIED]
    dev.close()
    prod.close()


def test_calls_stop_before_cloudflare_would_block_everything():
    now = [0.0]
    pace = Pace(3, 300, clock=lambda: now[0])
    for at in (0.0, 10.0, 20.0):
        now[0] = at
        pace.take()
    now[0] = 50.0
    with pytest.raises(StoreUnavailableError, match="3 calls were made to Cloudflare in 5 minutes") as caught:
        pace.take()
    assert caught.value.retry_after == pytest.approx(250)
    now[0] = 300.0
    pace.take()
    with pytest.raises(StoreUnavailableError) as caught:
        pace.take()
    assert caught.value.retry_after == pytest.approx(10)


def test_all_namespaces_of_a_token_share_one_pace(cloudflare):
    opened = [CloudflareKV(cloudflare.address(env), token="shared" * 5) for env in ("dev", "prod")]
    other = CloudflareKV(cloudflare.address("dev"), token="another" * 5)
    assert opened[0]._pace is opened[1]._pace is not other._pace
    for kv in (*opened, other):
        kv.close()


def test_keys_that_cloudflare_did_not_take_come_again(behind, proxy):
    left = {"success": True, "result": {"successful_key_count": 1, "unsuccessful_keys": ["key:b"]}}
    proxy.plan(answering(200, json.dumps(left).encode()))
    writes = [Write("key:a", 1, b"a"), Write("key:b", 1, b"b")]
    with pytest.raises(StoreUnavailableError, match="did not take 1 of the keys, such as key:b") as caught:
        behind.write(writes)
    assert caught.value.retry_after >= 1
    assert behind.write(writes) == [Outcome.APPLIED, Outcome.APPLIED]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"success":false}', b'{"success":true,"result":[1]}', b"\xff"]
)
def test_an_answer_that_says_nothing_is_no_success(behind, proxy, body):
    for call in (
        lambda: behind.write([Write("key:a", 1, b"x")]),
        lambda: behind.list(""),
        lambda: behind.entry("key:a"),
    ):
        proxy.plan(answering(200, body))
        with pytest.raises(StoreUnavailableError):
            call()
