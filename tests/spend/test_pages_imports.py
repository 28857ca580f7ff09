"""Imports as pages, as the API and as the command, from the file to its withdrawal."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command

from spend.importing.run import work_off_all
from spend.importing.tasks import go_on_with_imports, settle_imports
from spend.models import UsageImport
from tenants.permissions import Permission
from tests.pricing.catalogues import catalogue, listed, provider
from tests.pricing.conftest import sync_and_approve
from tests.spend.customer import Customer
from tests.spend.imports import FILES, at, check, counted, first_project, lines, page, total
from tests.tenants.making import make_tenant, service_token

PAGE = page({"num_model_requests": 42, "input_tokens": 1_000, "output_tokens": 100})


@pytest.fixture
def customer(admin_client, queues, clickhouse) -> Customer:
    sync_and_approve(catalogue(provider("openai", listed("gpt-4o-mini", input=150_000, output=600_000))))
    return Customer(admin_client.tenant, zone="Asia/Kolkata")


def text_of(response) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def handed_in(person, customer, body: bytes = PAGE, kind: str = "openai_usage", **more) -> str:
    """The address of an import that was just handed in."""
    file = SimpleUploadedFile("usage.json", body)
    form = {"kind": kind, "file": file, "project": customer.project.id, "env": "prod"} | more
    answer = person.post("/imports/new", form)
    assert answer.status_code == 302, text_of(answer)
    return answer.headers["Location"]


def test_from_a_file_to_spend_and_back(admin_client, customer):
    assert "Nothing was imported yet" in text_of(admin_client.get("/imports"))
    address = handed_in(admin_client, customer, PAGE + b"\n{}")
    assert "Being checked 0 0 0 0" in text_of(admin_client.get("/imports"))
    assert "Being checked" in text_of(admin_client.get(address))
    go_on_with_imports()
    checked = admin_client.get(address)
    text = text_of(checked)
    assert "What would come in Waiting for you" in text
    assert "1 row will come in and count in spend and budgets, with a cost of $0.00021" in text
    assert "2026-11-01 gpt-4o-mini 42 1,100 $0.00021 $0.00021" in text
    assert "It is not a page of the report" in text
    assert total(customer.tenant) is None

    refused = admin_client.get(f"{address}/refused.csv")
    assert list(csv.reader(io.StringIO(refused.content.decode())))[1][0] == "2"

    saw = re.search(r'name="confirmed" value="([^"]+)"', checked.content.decode())[1]
    assert admin_client.post(f"{address}/confirm", {"confirmed": saw}).status_code == 403
    admin_client.confirmed_post(f"{address}/confirm", {"confirmed": "other"})
    assert "something else than you confirmed" in text_of(admin_client.get(address))
    admin_client.confirmed_post(f"{address}/confirm", {"confirmed": saw})
    go_on_with_imports()
    counted()
    assert (total(customer.tenant).requests, total(customer.tenant).cost) == (42, Decimal("0.00021"))
    assert "Came in 1" in text_of(admin_client.get(address))
    assert re.search(r"usage.json .* Imported 1 0 0 1", text_of(admin_client.get("/imports")))

    assert admin_client.post(f"{address}/withdraw", {}).status_code == 403
    admin_client.confirmed_post(f"{address}/withdraw", {})
    go_on_with_imports()
    counted()
    settle_imports()
    assert total(customer.tenant) is None
    assert "Withdrawn" in text_of(admin_client.get(address))


def test_pages_refresh_themselves_only_while_something_changes(admin_client, customer):
    address = handed_in(admin_client, customer)
    live = re.search(r'id="import" data-live hx-get="([^"]+)"', admin_client.get(address).content.decode())[1]
    assert admin_client.get(html.unescape(live)).status_code == 204
    go_on_with_imports()
    assert admin_client.get(html.unescape(live)).status_code == 200
    listed_live = re.search(r'id="imports" data-live hx-get="([^"]+)"', admin_client.get("/imports").content.decode())[
        1
    ]
    assert admin_client.get(html.unescape(listed_live)).status_code == 204
    assert "data-live" not in admin_client.get(address).content.decode().partition('id="import"')[2][:40]


def test_what_cannot_be_handed_in_says_why(admin_client, customer):
    form = {"kind": "openai_usage", "project": customer.project.id, "env": "prod"}
    assert admin_client.post("/imports/new", form).status_code == 422
    empty = admin_client.post("/imports/new", form | {"file": SimpleUploadedFile("a.csv", b"")})
    assert empty.status_code == 422
    mapped = admin_client.post(
        "/imports/new", form | {"file": SimpleUploadedFile("a.csv", b"x"), "mapping": "key_a: Checkout"}
    )
    assert "Line 1 of the mapping is not like" in text_of(mapped)
    unknown = admin_client.post(
        "/imports/new", form | {"file": SimpleUploadedFile("a.csv", b"x"), "mapping": "key_a = Nope"}
    )
    assert "there is no such project" in text_of(unknown)
    large = SimpleUploadedFile("a.csv", b"x" * (20 * 2**20 + 1))
    assert "larger than 20 MB" in text_of(admin_client.post("/imports/new", form | {"file": large}))


def test_a_discarded_file_and_one_of_another_kind_say_what_they_are(admin_client, customer):
    address = handed_in(admin_client, customer)
    go_on_with_imports()
    admin_client.post(f"{address}/discard", {})
    assert "Discarded before it came in" in text_of(admin_client.get(address))
    wrong = handed_in(admin_client, customer, b"a,b\n1,2\n")
    go_on_with_imports()
    assert "This is CSV, and “OpenAI: usage API (JSON)” is JSON" in text_of(admin_client.get(wrong))


def test_what_is_withheld_from_spreadsheets_is_no_formula(admin_client, customer):
    address = handed_in(admin_client, customer, lines({"ts": "=1+1"}), kind="file")
    go_on_with_imports()
    cells = list(csv.reader(io.StringIO(admin_client.get(f"{address}/refused.csv").content.decode())))
    assert not any(cell.startswith("=") for row in cells for cell in row)


def test_the_api_hands_in_confirms_and_withdraws(customer, client):
    token = service_token(customer.tenant, Permission.SPEND_IMPORT).text
    headers = {"authorization": f"Bearer {token}"}

    def ask(method, path, body=b"", kind="application/json"):
        return client.generic(method, f"/api/v1{path}", body, content_type=kind, headers=headers)

    query = f"?source=openai_usage&project={customer.project.id}&file_name=nov.json"
    given = ask("POST", f"/imports{query}", PAGE)
    assert given.status_code == 202, given.content
    work_off_all(seconds=60)
    found = ask("GET", f"/imports/{given.json()['id']}").json()
    assert (found["status"], found["rows"]["new"]) == ("checked", 1)
    assert found["sums"][0] == {
        "day": "2026-11-01",
        "model": "gpt-4o-mini",
        "requests": 42,
        "tokens": 1_100,
        "cost_usd": "0.000210000000",
        "charge_usd": "0.000210000000",
        "unpriced_requests": 0,
    }
    assert ask("POST", f"/imports/{found['id']}/confirm").json()["status"] == "importing"
    assert ask("POST", f"/imports/{found['id']}/confirm").status_code == 409
    work_off_all(seconds=60)
    counted()
    assert total(customer.tenant).requests == 42
    assert [each["file_name"] for each in ask("GET", "/imports").json()] == ["nov.json"]
    assert ask("DELETE", f"/imports/{found['id']}").status_code == 409
    assert ask("POST", f"/imports/{found['id']}/withdraw").status_code == 200
    work_off_all(seconds=60)
    counted()
    assert total(customer.tenant) is None
    assert ask("POST", f"/imports{query}", PAGE, "application/x-www-form-urlencoded").status_code == 422
    assert ask("POST", "/imports?source=excel&project=x", PAGE).status_code == 422
    assert ask("GET", "/imports/im_000000000000").status_code == 404


def test_a_large_file_comes_in_by_the_api_piece_by_piece(customer, client):
    token = service_token(customer.tenant, Permission.SPEND_IMPORT).text
    rows = [{"ts": "2026-11-01T09:30:00Z", "units": {"input": 1}, "id": f"call-{number}"} for number in range(40_000)]
    body = lines(*rows)
    assert len(body) > 4 * 2**20
    query = f"?source=file&project={customer.project.id}"
    headers = {"authorization": f"Bearer {token}"}
    given = client.generic("POST", f"/api/v1/imports{query}", body, content_type="application/json", headers=headers)
    assert given.status_code == 202, given.content
    assert given.json()["bytes"] == len(body)


def test_strangers_see_no_import(customer, client):
    job = check(customer.tenant, PAGE, "openai_usage")
    headers = {"authorization": f"Bearer {service_token(make_tenant('Second'), Permission.SPEND_IMPORT).text}"}
    for method, path in (("GET", ""), ("POST", "/confirm"), ("POST", "/withdraw"), ("DELETE", "")):
        answer = client.generic(
            method, f"/api/v1/imports/{job.pk}{path}", content_type="application/json", headers=headers
        )
        assert answer.status_code == 404
    assert client.get("/api/v1/imports", headers=headers).json() == []


def test_the_command_says_what_would_come_in_and_then_brings_it(customer, tmp_path, capsys):
    name = customer.tenant.name
    options = {"source": "openai_usage", "tenant": name, "project": "Checkout"}
    file = FILES / "openai_usage_completions.json"
    call_command("import_usage", str(file), dry_run=True, json=True, **options)
    said = json.loads(capsys.readouterr().out)
    assert (said["dry_run"], said["new"], said["refused"]) == (True, 2, 0)
    assert total(customer.tenant) is None
    call_command("import_usage", str(file), json=True, **options)
    came = json.loads(capsys.readouterr().out)
    assert (came["status"], came["new"], came["cost_usd"]) == ("done", 2, said["cost_usd"])
    counted()
    assert total(customer.tenant).requests == 47
    call_command("import_usage", str(file), **options)
    assert "2 stood already" in capsys.readouterr().out
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(lines({"ts": "2026-11-01"}, {"ts": "never"}))
    call_command("import_usage", str(bad), **(options | {"source": "file"}))
    assert "line 2: ts is 'never'" in capsys.readouterr().out
    for wrong in ({"project": "Nope"}, {"source": "openai_usage_csv"}, {"env": "moon"}):
        with pytest.raises(CommandError):
            call_command("import_usage", str(file), **(options | wrong))
    with pytest.raises(CommandError, match="There is no file"):
        call_command("import_usage", "nowhere.json", **options)


def test_an_imported_bucket_says_in_the_list_what_it_is(admin_client, customer):
    from tests.spend.imports import bring

    bring(customer.tenant, PAGE, "openai_usage", project_id=customer.project.id)
    assert first_project(customer.tenant)
    text = text_of(admin_client.get(f"/requests?period=custom&first={at(0).date()}&last={at(0).date()}"))
    assert "Imported from OpenAI" in text
    assert UsageImport._base_manager.count() == 1
