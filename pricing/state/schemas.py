"""What the state service is asked and what it answers."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from ninja import Field, Schema
from pydantic import ConfigDict, ValidationInfo, field_validator

Use = Literal["chat", "responses", "embeddings", "messages"]
Tier = Literal["bulk", "standard", "frontier"]
TenantId = Annotated[
    str, Field(pattern=r"^(t_[0-9a-z]{1,30})?$", description="The tenant; only with the shared token it must be named.")
]
_PROJECT = r"^(p_[0-9a-z]{1,30})?$"


class CatalogQuery(Schema):
    """Which models are asked for; everything may be left out."""

    provider: str = Field("", max_length=64, examples=["openai"])
    tier: Literal["", "bulk", "standard", "frontier"] = Field("", examples=[""])
    use: Literal["", "chat", "responses", "embeddings", "messages"] = Field("", examples=["chat"])
    q: str = Field("", max_length=200, description="Words of the model's name.", examples=["gpt"])
    deprecated: bool = Field(True, description="False leaves out deprecated models.", examples=[False])


class ContextTierOut(Schema):
    """A price that holds for calls with a longer context."""

    above_tokens: int = Field(examples=[200000])
    usd_per_million: str = Field(examples=["2.5"])


class UnitPriceOut(Schema):
    """What a million of a unit cost at this moment."""

    usd_per_million: str = Field(description="An exact decimal number.", examples=["0.15"])
    measure: str = Field(description="What the unit counts.", examples=["token"])
    context_tiers: list[ContextTierOut] = Field(default=[])


class ModelOut(Schema):
    """A model as its provider sells it."""

    provider: str = Field(examples=["openai"])
    model: str = Field(examples=["gpt-4o-mini"])
    name: str = Field(examples=["GPT-4o mini"])
    tier: Tier | None = Field(description="What it was described as, if it was.", examples=["bulk"])
    uses: list[Use] = Field(description="What it can be selected for.", examples=[["chat", "responses"]])
    context_window: int | None = Field(examples=[128000])
    output_most: int | None = Field(examples=[16384])
    capabilities: list[str] = Field(examples=[["tools", "vision"]])
    aliases: list[str]
    deprecated: bool = Field(examples=[False])
    deprecated_on: date | None = Field(description="The provider's announced last day.", examples=[None])
    prices: dict[str, UnitPriceOut] = Field(description="By unit; none for a model that has no price.")


class CatalogOut(Schema):
    """The models that are listed now."""

    price_version: int = Field(examples=[7])
    currency: Literal["USD"]
    models: list[ModelOut]


class SelectionQuery(Schema):
    """Whose selections are asked for."""

    tenant: TenantId = ""
    project: str = Field(
        "", pattern=_PROJECT, description="What holds for this project: its own, else the tenant's.", examples=[""]
    )


class SelectionOut(Schema):
    """The model that a tier stands for in one use."""

    project_id: str | None = Field(description="Null for the tenant's own.", examples=[None])
    use: Use = Field(examples=["chat"])
    tier: Tier = Field(examples=["bulk"])
    provider: str | None = Field(description="Null when none is selected.", examples=["openai"])
    model: str | None = Field(examples=["gpt-4o-mini"])
    version: int = Field(description="0 when none is selected.", examples=[1])
    updated_at: datetime | None = None


class SelectionsOut(Schema):
    """What a tenant's tiers stand for, or a project's."""

    tenant: str = Field(examples=["t_4k2m9x0c1v7b"])
    project_id: str | None = Field(examples=[None])
    selections: list[SelectionOut]


class SelectionIn(Schema):
    """What a tier is to stand for. `provider` and `model` of null take the selection away."""

    model_config = ConfigDict(extra="forbid")

    tenant: TenantId = ""
    project_id: str | None = Field(None, pattern=_PROJECT, examples=[None])
    use: Use = Field(examples=["chat"])
    tier: Tier = Field(examples=["bulk"])
    provider: str | None = Field(max_length=64, examples=["openai"])
    model: str | None = Field(max_length=255, examples=["gpt-4o-mini"])
    version: int | None = Field(
        None, ge=0, description="The version that you saw, 0 for none; without it nobody's change is minded."
    )

    @field_validator("model")
    @classmethod
    def _with_its_provider(cls, model: str | None, info: ValidationInfo) -> str | None:
        if "provider" in info.data and (model is None) != (info.data["provider"] is None):
            raise ValueError("Name both the provider and the model, or neither to clear the selection")
        return model
