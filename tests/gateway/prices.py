"""A small price book: list prices as the providers document them, in pico-USD a token."""

from __future__ import annotations

from wire.documents import PRICING_BLOB, PRICING_VERSION, SCHEMA, encode
from wire.kv.base import Write
from wire.prices import ModelPrices, PricePeriod, PriceVariant, PricingBlob, PricingVersion, ProviderRules

MTOK = 1_000_000  # pico-USD a token for $1 a million tokens


def _model(**prices: int) -> ModelPrices:
    return ModelPrices(periods=(PricePeriod(prices),))


def blob(version: int, env: str = "dev", factor: int = 1) -> PricingBlob:
    """The book at a version; `factor` multiplies the price of gpt-4o-mini, so that versions can be told apart."""
    models = {
        "openai": {
            "gpt-4o-mini": _model(input=150_000 * factor, cache_read=75_000 * factor, output=600_000 * factor),
            "gpt-5": ModelPrices(
                periods=(PricePeriod({"input": 1_250_000, "cache_read": 125_000, "output": 10_000_000}),),
                variants=(PriceVariant({"service_tier": "flex"}, {"input": 625_000, "output": 5_000_000}),),
            ),
            "text-embedding-3-small": _model(input=20_000),
            "gpt-4o-audio-preview": _model(
                input=2_500_000, output=10_000_000, audio_in=40_000_000, audio_out=80_000_000
            ),
        },
        "anthropic": {
            "claude-sonnet-4-6": _model(
                input=3 * MTOK,
                output=15 * MTOK,
                cache_read=300_000,
                cache_write=3_750_000,
                cache_write_1h=6 * MTOK,
                web_searches=10_000_000_000,
            ),
        },
        "deepseek": {"deepseek-chat": _model(input=270_000, cache_read=70_000, output=1_100_000)},
        "x-ai": {"grok-3-mini": _model(input=300_000, output=500_000)},
        "google": {"gemini-2.5-flash": _model(input=300_000, output=2_500_000)},
        "mistral": {"mistral-small-latest": _model(input=100_000, output=300_000)},
    }
    starts = {
        "anthropic": "claude",
        "deepseek": "deepseek",
        "x-ai": "grok",
        "google": "gemini",
        "mistral": "mistral",
        "openai": "gpt-",
    }
    providers = {
        provider: ProviderRules(
            rules=tuple(({"starts_with": name}, name) for name in sorted(models[provider], key=len, reverse=True)),
            model_match={"starts_with": start},
        )
        for provider, start in starts.items()
    }
    return PricingBlob(
        schema=SCHEMA,
        rev=version,
        env=env,
        version=version,
        source="test",
        models=models,
        providers=providers,
        order=tuple(providers),
    )


def writes(version: int, env: str = "dev", factor: int = 1) -> list[Write]:
    """The two documents, in the order in which they are published."""
    marker = PricingVersion(schema=SCHEMA, rev=version, env=env, version=version)
    return [
        Write(PRICING_BLOB, version, encode(blob(version, env, factor))),
        Write(PRICING_VERSION, version, encode(marker)),
    ]
