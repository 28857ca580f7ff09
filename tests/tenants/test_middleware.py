"""Which tenant a request is about, and that its scope is open exactly while it is answered."""

from __future__ import annotations

import pytest
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from django.urls import ResolverMatch

from access.models import User
from tenants.middleware import CHOSEN, CurrentTenantMiddleware
from tenants.models import Membership, Project
from tenants.scope import ScopeError, current_tenant_id
from tests.tenants.making import make_tenant

pytestmark = pytest.mark.django_db
PLATFORM, TENANT = Membership.Role.PLATFORM_ADMIN, Membership.Role.TENANT_ADMIN


@pytest.fixture
def user() -> User:
    return User.objects.create(email="asha@example.com", name="Asha")


def join(user: User, tenant, role=TENANT) -> None:
    Membership.objects.create(user=user, tenant=tenant, role=role)


def ask(user, view=lambda request: HttpResponse("ok"), *, chosen: str = "", verified: bool = True) -> HttpRequest:
    request = RequestFactory().get("/keys", REMOTE_ADDR="192.0.2.9")
    request.user, request.id, request.session = user, "request-1", {CHOSEN: chosen} if chosen else {}
    user.is_verified = lambda: verified
    request.response = CurrentTenantMiddleware(view)(request)
    return request


def test_the_tenant_is_that_of_the_first_membership(user):
    first, second = make_tenant("First"), make_tenant("Second")
    join(user, first)
    join(user, second)
    request = ask(user)
    assert (request.tenant, request.membership.tenant, request.platform_admin) == (first, first, False)
    assert (request.actor.kind, request.actor.id, request.actor.role) == ("user", user.pk, "tenant_admin")
    assert (request.actor.address, request.actor.request_id) == ("192.0.2.9", "request-1")


def test_a_member_may_choose_and_loses_the_choice_with_the_membership(user):
    first, second = make_tenant("First"), make_tenant("Second")
    join(user, first)
    join(user, second)
    assert ask(user, chosen=second.id).tenant == second
    Membership.objects.filter(tenant=second).delete()
    assert ask(user, chosen=second.id).tenant == first


def test_nobody_chooses_a_tenant_of_others(user):
    first, foreign = make_tenant("First"), make_tenant("Foreign")
    join(user, first)
    assert ask(user, chosen=foreign.id).tenant == first
    assert ask(user, chosen="t_nothing").tenant == first


def test_a_platform_admin_may_choose_any_tenant(user):
    own, other = make_tenant("Own"), make_tenant("Other")
    join(user, None, PLATFORM)
    join(user, own)
    assert ask(user).tenant == own
    request = ask(user, chosen=other.id)
    assert (request.tenant, request.actor.role, request.platform_admin) == (other, "platform_admin", True)


def test_a_platform_admin_who_is_a_member_of_none_sees_the_oldest_tenant(user):
    oldest = make_tenant("Oldest")
    make_tenant("Newer")
    join(user, None, PLATFORM)
    assert ask(user).tenant == oldest
    assert ask(user, chosen="t_nothing").tenant == oldest


def test_the_scope_is_open_in_the_view_and_closed_after_it(user):
    join(user, make_tenant("Ours"))
    make_tenant("Theirs")

    def view(request):
        return HttpResponse(",".join(project.tenant_id for project in Project.objects.all()))

    request = ask(user, view)
    assert request.response.content.decode() == request.tenant.id
    with pytest.raises(ScopeError):
        current_tenant_id()


def test_the_scope_is_closed_after_an_error_too(user):
    join(user, make_tenant())

    def view(request):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(user, view)
    with pytest.raises(ScopeError):
        current_tenant_id()


def test_a_stream_is_read_in_scope_and_leaks_none(user):
    join(user, make_tenant("Ours"))
    closed = []

    def chunks():
        try:
            for _ in range(3):
                yield f"{Project.objects.get().tenant_id}\n".encode()
        finally:
            closed.append(True)

    request = ask(user, lambda _: StreamingHttpResponse(chunks()))
    for chunk in request.response:
        assert chunk.decode().strip() == request.tenant.id
        with pytest.raises(ScopeError):
            current_tenant_id()
    request.response.close()
    assert closed


def test_a_stream_that_is_given_up_is_closed(user):
    join(user, make_tenant("Ours"))
    closed = []

    def chunks():
        try:
            yield b"1"
            yield b"2"
        finally:
            closed.append(True)

    request = ask(user, lambda _: StreamingHttpResponse(chunks()))
    next(iter(request.response))
    request.response.close()
    assert closed
    with pytest.raises(ScopeError):
        current_tenant_id()


def test_files_are_left_as_they_are(user, tmp_path):
    join(user, make_tenant())
    path = tmp_path / "export.csv"
    path.write_bytes(b"a,b\n")
    request = ask(user, lambda _: FileResponse(path.open("rb")))
    assert b"".join(request.response) == b"a,b\n"
    request.response.close()


def test_without_a_passkey_there_is_no_tenant_and_no_scope(user):
    join(user, make_tenant())

    def view(request):
        with pytest.raises(ScopeError):
            current_tenant_id()
        return HttpResponse("ok")

    request = ask(user, view, verified=False)
    assert (request.tenant, request.membership, request.actor, request.platform_admin) == (None, None, None, False)


def test_whoever_belongs_to_no_tenant_is_told_so(admin_client):
    Membership.objects.filter(user=admin_client.user).delete()
    answer = admin_client.get("/keys")
    assert answer.status_code == 403
    assert b"You belong to no tenant" in answer.content
    assert admin_client.get("/health").status_code == 200


def test_without_any_tenant_the_request_still_has_its_actor(user):
    request = ask(user)
    assert request.tenant is None
    assert request.actor.id == user.pk
    request.resolver_match = ResolverMatch(lambda: None, (), {}, app_names=["access"], namespaces=["access"])
    assert CurrentTenantMiddleware(lambda _: None).process_view(request, lambda: None, [], {}) is None
