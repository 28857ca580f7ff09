"""What the operations of prices take and give. Amounts are texts of USD, prices kept are integers of pico-USD."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from ninja import Field, Schema
from pydantic import ConfigDict, StringConstraints

from pricing.models import PriceChange, PriceSync
from tenants.frame.days import Day
from tenants.frame.paging import Page, Paging

_STRICT = ConfigDict(extra="forbid")
_WHEN = "2026-11-21T03:17:00Z"
Text = Annotated[str, StringConstraints(max_length=500)]
Short = Annotated[str, StringConstraints(max_length=60)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class TypedPrice(Schema):
    """A price as it is quoted."""

    model_config = _STRICT

    unit: Short = Field(examples=["input"])
    price: Short = Field(description="USD as a text, so that no digit is lost.", examples=["0.15"])
    per: Short = Field(
        "",
        description="For how many units: million, thousand, hour, unit, or a number. Without it a million tokens, "
        "characters or pixels, or one of anything else.",
        examples=["million"],
    )


class HandPriceIn(Schema):
    """A price by hand for a model that no source prices."""

    model_config = _STRICT

    provider: Text = Field(examples=["openai"])
    model: Text = Field(examples=["acme-private-7b"])
    match: Literal["", "exact", "prefix"] = Field(
        "", description="How names find it: exactly by its name, or by how they begin. Empty: by the rules there are."
    )
    prices: list[TypedPrice] = Field(min_length=1, max_length=60)
    starts: Day = Field(description="The first UTC day. It may lie in the past.", examples=["2026-11-01"])
    ends: Day | None = Field(None, description="The first day on which it holds no more.", examples=[None])
    source_url: Text = Field("", examples=["https://acme.example/pricing"])
    note: Text = Field("", examples=["From their offer of October."])


class HandPriceChange(Schema):
    """Other prices from a day on. From its first day on, a price is corrected."""

    model_config = _STRICT

    prices: list[TypedPrice] = Field(min_length=1, max_length=60)
    starts: Day = Field(examples=["2026-12-01"])
    source_url: Text = Field("", examples=[""])
    note: Text = Field("", examples=[""])


class HandPriceEnd(Schema):
    """When a price ends."""

    model_config = _STRICT

    ends: Day = Field(
        description="The first UTC day on which it holds no more; its first day withdraws it.", examples=["2026-12-31"]
    )


class TableIn(Schema):
    """A table of prices: all of its lines, or none."""

    model_config = _STRICT

    table: str = Field(
        min_length=1, max_length=5 * 2**20, description="CSV or JSON; docs/pricing.md says its columns.", examples=["…"]
    )


class HandPriceOut(Schema):
    """A price by hand."""

    id: int = Field(examples=[7])
    provider: str = Field(examples=["openai"])
    model: str = Field(examples=["acme-private-7b"])
    prices: dict[str, int] = Field(description="pico-USD per unit.", examples=[{"input": 150000, "output": 600000}])
    starts: date = Field(examples=["2026-11-01"])
    ends: date | None = Field(examples=[None])
    source_url: str = Field(examples=["https://acme.example/pricing"])
    note: str = Field(examples=[""])
    created_by: str = Field(examples=["u_5n0q2d8s6w1f"])
    created_at: datetime = Field(examples=[_WHEN])

    @staticmethod
    def resolve_provider(row: Any) -> str:
        return str(row.model.provider_id)

    @staticmethod
    def resolve_model(row: Any) -> str:
        return str(row.model.model_id)


class HandPricePage(Page[HandPriceOut]):
    """A page of prices by hand."""


class TableOut(Schema):
    """What became of a table."""

    added: int = Field(examples=[120])
    version: int = Field(description="The price book that holds them.", examples=[8])


class SyncOut(Schema):
    """A sync: what a source proposed, and what became of it."""

    id: int = Field(examples=[12])
    source: str = Field(examples=["genai-prices"])
    source_version: str = Field(examples=["0.2.3"])
    status: Literal["nothing", "published", "waiting", "approved", "rejected", "superseded", "failed"]
    reason: str = Field(description="Why it waits, or failed.", examples=[""])
    digest: str = Field(description="What an approval is bound to; empty when nothing waits.", examples=[""])
    new_count: int = Field(examples=[3])
    changed_count: int = Field(examples=[1])
    gone_count: int = Field(examples=[0])
    version: int | None = Field(description="The price book that it made.", examples=[8])
    at: datetime = Field(examples=[_WHEN])
    decided_by: str = Field(examples=[""])
    decided_at: datetime | None = Field(examples=[None])

    @staticmethod
    def resolve_version(row: PriceSync) -> int | None:
        return row.book_id


class SyncPage(Page[SyncOut]):
    """A page of syncs."""


class ChangesQuery(Paging):
    """Which changes."""

    sync: int = Field(ge=1, le=2**53, description="The id of the sync.", examples=[12])


class ChangeOut(Schema):
    """What a sync proposes for one model, or for a provider's rules."""

    id: int = Field(examples=[340])
    kind: Literal["new", "changed", "gone", "conflict", "rules"]
    status: Literal["waiting", "published", "rejected"]
    provider: str = Field(examples=["openai"])
    model: str = Field(description="Empty for rules.", examples=["gpt-4o-mini"])
    before: dict[str, Any] | None = Field(description="What the price book holds.", examples=[None])
    after: dict[str, Any] | None = Field(description="What the source lists.", examples=[None])
    basis_points: int | None = Field(description="The largest move: 1000 is 10 % dearer; null from 0.", examples=[1000])
    reason: str = Field(description="Why it waits.", examples=["input tokens rise by 50%"])
    effective_from: date | None = Field(description="The UTC day from which it holds.", examples=["2026-11-21"])

    @staticmethod
    def resolve_provider(row: PriceChange) -> str:
        return row.provider_id

    @staticmethod
    def resolve_model(row: PriceChange) -> str:
        return row.model_id


class ChangePage(Page[ChangeOut]):
    """A page of changes."""


class DecisionIn(Schema):
    """A decision on exactly the changes that were read."""

    model_config = _STRICT

    digest: Digest = Field(description="That of the sync.", examples=["3c1f" * 16])
    reason: Text = Field("", examples=["Their page says so."])


class FactsIn(Schema):
    """Facts of a model as typed; an empty text gives a fact back to the sources."""

    model_config = _STRICT

    provider: Text = Field(examples=["openai"])
    model: Text = Field(examples=["gpt-4o-mini"])
    facts: dict[Short, Text] = Field(
        min_length=1, max_length=10, examples=[{"tier": "bulk", "capabilities": "tools, vision"}]
    )
    note: Text = Field("", examples=[""])


class ModelOut(Schema):
    """A model's facts, and where each is from."""

    provider: str = Field(examples=["openai"])
    model: str = Field(examples=["gpt-4o-mini"])
    name: str = Field(examples=["gpt 4o mini"])
    context_window: int | None = Field(examples=[128000])
    output_most: int | None = Field(examples=[16384])
    capabilities: list[str] = Field(examples=[["tools", "vision"]])
    aliases: list[str] = Field(examples=[[]])
    tier: str = Field(examples=["bulk"])
    deprecated: bool
    deprecated_on: date | None = Field(examples=[None])
    facts: dict[str, Any] = Field(examples=[{"tier": {"source": "by hand", "seen": "2026-11-21"}}])

    @staticmethod
    def resolve_provider(row: Any) -> str:
        return str(row.provider_id)

    @staticmethod
    def resolve_model(row: Any) -> str:
        return str(row.model_id)
