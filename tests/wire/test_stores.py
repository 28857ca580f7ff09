"""Which stores the settings name: what is understood, what is refused and how, and that no secret is shown."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.redis import RedisServer, redis_server
from wire.config import Config
from wire.env import Env, SettingError
from wire.kv.base import Outcome, StoreRefusedError, Write
from wire.kv.stores import Kind, Store, stores_of

TOKEN = "a-token-of-cloudflare"
WITH_TOKEN = {"SPENDOPS_CLOUDFLARE_API_TOKEN": TOKEN}


def stores(*environments: str, production: bool = False, **values: str) -> dict[str, tuple[Store, ...]]:
    return stores_of(Env(values), environments or ("dev",), data=Path("/data"), production=production)


def only(text: str, **values: str) -> Store:
    (store,) = stores(SPENDOPS_KV=text, **values)["dev"]
    return store


def test_without_settings_each_environment_has_a_file():
    found = stores("dev", "prod")
    assert found == {
        "dev": (Store(Kind.EMBEDDED, "dev", "embedded", "/data/dev/kv.sqlite3"),),
        "prod": (Store(Kind.EMBEDDED, "prod", "embedded", "/data/prod/kv.sqlite3"),),
    }
    assert found["dev"][0].readable


@pytest.mark.parametrize(
    ("text", "id_", "address", "namespace"),
    [
        ("redis://h", "redis://h:6379/0#spendops-dev", "redis://h/0", "spendops-dev"),
        ("redis://H:7000/3/", "redis://h:7000/3#spendops-dev", "redis://H:7000/3", "spendops-dev"),
        ("redis://h/00?namespace=a_B-1", "redis://h:6379/0#a_B-1", "redis://h/0", "a_B-1"),
        ("rediss://u:p%40%2Fss@h/1", "rediss://h:6379/1#spendops-dev", "rediss://u:p%40%2Fss@h/1", "spendops-dev"),
        ("redis://:p@[::1]:70", "redis://[::1]:70/0#spendops-dev", "redis://:p@[::1]:70/0", "spendops-dev"),
        ("unix:///run/r.sock", "unix:///run/r.sock?db=0#spendops-dev", "unix:///run/r.sock?db=0", "spendops-dev"),
        ("unix:///r?db=2&namespace=x", "unix:///r?db=2#x", "unix:///r?db=2", "x"),
        ("redis://h/0?namespace=of-{env}", "redis://h:6379/0#of-dev", "redis://h/0", "of-dev"),
        ("redis://{env}.kv/0", "redis://dev.kv:6379/0#spendops-dev", "redis://dev.kv/0", "spendops-dev"),
    ],
)  # fmt: skip
def test_addresses_of_redis(text, id_, address, namespace):
    assert only(text) == Store(Kind.REDIS, "dev", id_, address, namespace=namespace)


def test_a_namespace_of_cloudflare():
    store = only("cloudflare://acc0unt/ab12", **WITH_TOKEN)
    assert (store.id, store.token, store.readable) == ("cloudflare://acc0unt/ab12", TOKEN, False)
    assert store.address == "https://api.cloudflare.com/client/v4/accounts/acc0unt/storage/kv/namespaces/ab12"
    elsewhere = only("cloudflare://a/b", SPENDOPS_CLOUDFLARE_API_URL="http://127.0.0.1:9/v4/", **WITH_TOKEN)
    assert elsewhere.address == "http://127.0.0.1:9/v4/accounts/a/storage/kv/namespaces/b"
    with pytest.raises(SettingError, match=r"cloudflare://a/b cannot be read by a gateway: name a Redis or the emb"):
        elsewhere.open_readable()


def test_several_stores_and_an_environment_of_its_own():
    found = stores(
        "dev", "prod", "qa",
        SPENDOPS_KV=" embedded , redis://h/0 ,",
        SPENDOPS_KV_PROD="cloudflare://a/b,redis://h/0",
        **WITH_TOKEN,
    )  # fmt: skip
    assert {env: [store.id for store in named] for env, named in found.items()} == {
        "dev": ["embedded", "redis://h:6379/0#spendops-dev"],
        "prod": ["cloudflare://a/b", "redis://h:6379/0#spendops-prod"],
        "qa": ["embedded", "redis://h:6379/0#spendops-qa"],
    }


def test_addresses_and_the_token_may_come_from_files(tmp_path):
    (tmp_path / "kv").write_text("cloudflare://a/b\n")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    files = {
        "SPENDOPS_KV_DEV_FILE": str(tmp_path / "kv"),
        "SPENDOPS_CLOUDFLARE_API_TOKEN_FILE": str(tmp_path / "token"),
    }
    (store,) = stores(**files)["dev"]
    assert (store.id, store.token) == ("cloudflare://a/b", TOKEN)


UNKNOWN = "is not known: choose embedded, redis://host:6379/0 or cloudflare://account/namespace."
REDIS = "SPENDOPS_KV has a Redis address that cannot be used: write it like redis://user:password@host:6379/0, or "
CLOUDFLARE = "SPENDOPS_KV has a Cloudflare namespace that cannot be used: write it like cloudflare://ACCOUNT/NAMESPACE "


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("memcached", f"SPENDOPS_KV='memcached' {UNKNOWN}"),
        ("etcd://h", f"SPENDOPS_KV='etcd' {UNKNOWN}"),
        ("Embedded", f"What SPENDOPS_KV names {UNKNOWN}"),
        ("s3cret@h:6379/0", f"What SPENDOPS_KV names {UNKNOWN}"),
        ("user:s3cret@h", f"What SPENDOPS_KV names {UNKNOWN}"),
        ("redis:h", f"What SPENDOPS_KV names {UNKNOWN}"),
        ("redis://u:s3,cret@h", REDIS),  # a comma separates stores
        (",", "SPENDOPS_KV names no store: write embedded, or leave it out."),
        ("redis://", REDIS),
        ("redis://:s3cret@", REDIS),
        ("redis://h:0", REDIS),
        ("redis://h:port", REDIS),
        ("redis://h:70000", REDIS),
        ("redis://h/x", REDIS),
        ("redis://h/-1", REDIS),
        ("redis://h/²", REDIS),
        ("redis://h/0/1", REDIS),
        ("redis://h/0#part", REDIS),
        ("redis://:s3#cret@h/0", REDIS),
        ("redis://:s3/cret@h/0", REDIS),
        ("redis://:s3?cret@h/0", REDIS),
        ("redis://:s3[cret@h/0", REDIS),
        ("redis://h/0?ssl_cert_reqs=none", REDIS),
        ("redis://h/0?db=1", REDIS),
        ("redis://h/0?namespace=", REDIS),
        ("redis://h/0?namespace=a b", REDIS),
        ("redis://h/0?namespace={x}", REDIS),
        ("redis://h/0?namespace=é", REDIS),
        ("redis://h/0?namespace=a&namespace=b", REDIS),
        (f"redis://h/0?namespace={'n' * 65}", REDIS),
        ("unix://", REDIS),
        ("unix://run/r.sock", REDIS),
        ("unix:///r?db=x", REDIS),
        (f"redis://{'h' * 300}", "SPENDOPS_KV has an address that is longer than 255 characters."),
        ("redis://h,redis://H:6379/0", "SPENDOPS_KV names one store twice: write each once."),
        ("embedded,embedded", "SPENDOPS_KV names one store twice: write each once."),
        ("cloudflare://", CLOUDFLARE),
        ("cloudflare://account", CLOUDFLARE),
        ("cloudflare://account/", CLOUDFLARE),
        ("cloudflare://account/one/two", CLOUDFLARE),
        ("cloudflare://s3cret@account/one", CLOUDFLARE),
        ("cloudflare://account/one?x=1", CLOUDFLARE),
        ("cloudflare://a/b", "SPENDOPS_KV names a Cloudflare namespace, but SPENDOPS_CLOUDFLARE_API_TOKEN is not set"),
    ],
)
def test_what_cannot_be_used_is_told_without_secrets(text, sentence):
    with pytest.raises(SettingError) as error:
        stores(SPENDOPS_KV=text)
    assert str(error.value).startswith(sentence)
    assert "s3" not in str(error.value)
    assert "cret" not in str(error.value)


def test_the_setting_that_is_wrong_is_named():
    with pytest.raises(SettingError, match=r"^SPENDOPS_KV_PROD has a Redis address"):
        stores("dev", "prod", SPENDOPS_KV_PROD="redis://")


@pytest.mark.parametrize(
    "url", ["api.cloudflare.com", "ftp://h", "https://", "https://me:s3cret@h", "http://h:x", "http://[h"]
)
def test_an_api_that_is_no_address(url):
    with pytest.raises(SettingError, match=r"^SPENDOPS_CLOUDFLARE_API_URL is not an address") as error:
        only("cloudflare://a/b", SPENDOPS_CLOUDFLARE_API_URL=url, **WITH_TOKEN)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["redis://h/0?namespace=same", "redis://{env}@h/0?namespace=same", "cloudflare://a/b", "unix:///r?namespace=s"],
)
def test_two_environments_never_share_a_namespace(text):
    with pytest.raises(SettingError, match=r"belongs to dev already: .* Write \{env\} into the address"):
        stores("dev", "prod", SPENDOPS_KV=text, **WITH_TOKEN)


def test_what_is_shown_of_a_store_holds_no_secret():
    for text in ("redis://user:s3cret@h/0", "unix://user:s3cret@/run/r.sock"):
        store = only(text)
        assert "s3cret" in store.address
        assert "s3cret" not in store.id + repr(store) + str(store)
    assert TOKEN not in repr(only("cloudflare://a/b", **WITH_TOKEN))


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("redis://h/0", True),
        ("embedded,redis://h/0", True),
        ("redis://localhost.example/0", True),
        ("rediss://h/0", False),
        ("redis://localhost/0", False),
        ("redis://:p@127.0.0.1:7000/0", False),
        ("redis://[::1]/0", False),
        ("unix:///run/r.sock", False),
        ("embedded", False),
        ("cloudflare://a/b", False),
    ],
)
def test_production_sends_no_policy_in_the_open(text, refused):
    assert stores(SPENDOPS_KV=text, **WITH_TOKEN)
    if not refused:
        assert stores(SPENDOPS_KV=text, production=True, **WITH_TOKEN)
        return
    with pytest.raises(
        SettingError, match=r"without TLS: use rediss:// or https://, or set SPENDOPS_KV_ALLOW_PLAIN=true"
    ):
        stores(SPENDOPS_KV=text, production=True)
    assert stores(SPENDOPS_KV=text, production=True, SPENDOPS_KV_ALLOW_PLAIN="true")


def test_production_reaches_cloudflare_by_tls_only():
    plain = {"SPENDOPS_CLOUDFLARE_API_URL": "http://kv.example/v4", **WITH_TOKEN}
    with pytest.raises(SettingError, match="without TLS"):
        stores(SPENDOPS_KV="cloudflare://a/b", production=True, **plain)


def test_a_gateway_reads_the_first_store_that_it_can(tmp_path):
    values = {"SPENDOPS_DATA": str(tmp_path), "SPENDOPS_ENVIRONMENTS": "dev", **WITH_TOKEN}
    kv = Config.load(Env(values | {"SPENDOPS_KV": "cloudflare://a/b,embedded"})).open_kv("dev")
    kv.write([Write("key:a", 1, b"a")])
    kv.close()
    assert (tmp_path / "dev" / "kv.sqlite3").exists()
    config = Config.load(Env(values | {"SPENDOPS_KV": "cloudflare://a/b"}))
    with pytest.raises(SettingError, match=r"No gateway can read the stores of dev \(cloudflare://a/b\): name a Redis"):
        config.open_kv("dev")


PASSWORD = " p@ss/w:o#r?d%20[,]é{env} "


def test_any_password_works_when_it_is_percent_encoded(tmp_path):
    with redis_server(tmp_path) as server:
        _require(server, "publisher", PASSWORD)
        login = f"publisher:{quote(PASSWORD, safe='')}"
        for address in (f"redis://{login}@127.0.0.1:{server.port}/0", f"unix://{login}@{server.socket}"):
            store = only(f"{address}?namespace=x") if "unix" not in address else only(f"{address}?db=0&namespace=x")
            kv = store.open()
            assert kv.write([Write("key:a", 1, b"a")])[0] in (Outcome.APPLIED, Outcome.REPEATED)
            kv.close()
        for login in ("", "publisher:wr0ng@", "nobody:wr0ng@", ":wr0ng@"):
            with pytest.raises(StoreRefusedError, match="address") as error:
                only(f"redis://{login}127.0.0.1:{server.port}/0").open()
            assert "wr0ng" not in str(error.value)


def _require(server: RedisServer, user: str, password: str) -> None:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", user, "on", f">{password}", "~*", "&*", "+@all")
        client.execute_command("ACL", "SETUSER", "default", "off")
