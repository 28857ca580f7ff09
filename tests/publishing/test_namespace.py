"""Nothing is written into a namespace that is not the environment's own."""

from __future__ import annotations

import pytest
from django.utils import timezone

from publishing.errors import NamespaceRefusedError
from publishing.models import KvEntry, PublisherLease
from publishing.namespace import Namespace
from publishing.queries import lag_of
from tests.tenants.making import issue, make_tenant
from wire.kv.base import Write


def test_the_first_write_claims_an_empty_namespace(stores):
    namespace = Namespace(stores.of("dev"))
    namespace.write([Write("key:a", 1, b"{}")])
    assert stores.reader("dev").get("meta:env") == b'{"schema":1,"env":"dev"}'
    namespace.close()
    namespace.write([Write("key:b", 1, b"{}")])
    namespace.close()


def test_another_environments_namespace_is_refused(stores):
    stores.reader("dev").add("meta:env", b'{"schema":1,"env":"prod"}')
    namespace = Namespace(stores.of("dev"))
    with pytest.raises(NamespaceRefusedError, match="configured for dev belongs to prod"):
        namespace.write([Write("key:a", 1, b"{}")])
    assert list(stores.documents("dev")) == ["meta:env"]


@pytest.mark.parametrize("body", [b"", b"dev", b"{}", b'{"env": 7}'])
def test_a_sentinel_that_cannot_be_read_is_refused(stores, body):
    stores.reader("dev").add("meta:env", body)
    with pytest.raises(NamespaceRefusedError, match="unknown environment"):
        Namespace(stores.of("dev")).check()


def test_documents_without_a_sentinel_are_somebody_elses(stores):
    stores.reader("dev").add("key:a", b"{}")
    with pytest.raises(NamespaceRefusedError, match="not known whose"):
        Namespace(stores.of("dev")).check()


def test_what_a_gateway_wrote_does_not_make_a_namespace_foreign(stores):
    stores.reader("dev").add("missing:openai:gpt-99", b"{}")
    namespace = Namespace(stores.of("dev"))
    namespace.check()
    namespace.close()


def test_a_refused_namespace_stops_its_environment_only_and_says_so(stores, publisher):
    stores.reader("dev").add("meta:env", b'{"schema":1,"env":"prod"}')
    tenant = make_tenant()
    key = issue(tenant, env="prod").key
    publisher.once()
    assert list(stores.documents("dev")) == ["meta:env"]
    assert f"key:{key.hash}" in stores.documents("prod")
    assert "belongs to prod" in lag_of("dev").error
    assert lag_of("dev").waiting == 1
    assert (lag_of("prod").error, lag_of("prod").waiting) == ("", 0)


def test_once_the_configuration_is_right_publishing_goes_on_at_once(stores, publisher):
    wrong = stores.reader("dev")
    wrong.add("meta:env", b'{"schema":1,"env":"prod"}')
    make_tenant()
    publisher.once()
    wrong.write([Write("meta:env", 2, b'{"schema":1,"env":"dev"}')])
    PublisherLease.objects.update(paused_until=timezone.now())
    publisher.once()
    assert lag_of("dev").error == ""
    assert not KvEntry.objects.filter(published_rev=0).exists()


def test_a_connection_that_cannot_even_be_closed_is_got_rid_of(stores, publisher):
    """As of a client that fails in a way nobody thought of: the publisher opens another one."""
    opened = []

    class Stuck:
        def __init__(self, kv) -> None:
            self._kv = kv
            opened.append(kv)

        def close(self) -> None:
            self._kv.close()
            raise RuntimeError("it is closed already")

        def __getattr__(self, name):
            return getattr(self._kv, name)

    stores.opening = Stuck
    issue(make_tenant())
    publisher.once()
    before = len(opened)
    publisher.close()
    issue(make_tenant("Another"))
    assert publisher.once().published
    assert len(opened) > before
