"""What is to become of a file's rows: which come in, which stand already, which passed the gateway, which are refused.

The dry run and the import judge by the same code in the same order, so that the one says what the other does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
from django.conf import settings

from spend.importing.adapters.base import Adapter, Found
from spend.importing.facts import KEY, Fact, buckets_in, facts_by_id, shapes_in
from spend.importing.matching import CREDENTIAL, PROJECT, Passes
from spend.importing.passed import passed_on
from spend.importing.price import Pricing
from spend.importing.rows import COSTS, Bad, Place, Row, RowError, utc_day
from spend.importing.scratch import Named
from spend.importing.settling import (
    DAY_MS,
    counted_buckets,
    counted_calls,
    first_kept_day,
    newest_pricing,
    pricing_of,
    standing,
)
from spend.models import UsageImport
from spend.zones import calendar_of, moment_of
from tenants.models import Project
from wire.events import UsageEvent, UsageSource
from wire.money import pico_from_usd_string, usd_string
from wire.units import input_tokens, output_tokens

ERRORS_KEPT = 1_000
GROUPS_KEPT = 2_000  # of days and models


@dataclass
class Tally:
    """Rows by what becomes of them. `read` is the sum of the others but `reduced`, which are among what comes in."""

    read: int = 0
    new: int = 0
    changed: int = 0  # a later state of a bucket that stands
    same: int = 0
    matched: int = 0  # passed the gateway as a whole
    reduced: int = 0  # buckets of which a part passed the gateway
    refused: int = 0


@dataclass
class Findings:
    """What a pass over a file has found so far."""

    tally: Tally = field(default_factory=Tally)
    errors: list[list[Any]] = field(default_factory=list)
    sums: dict[tuple[str, str], list[int]] = field(default_factory=dict)  # calls, tokens, cost, charge, unpriced
    begin: int | None = None
    end: int | None = None

    @classmethod
    def of(cls, job: UsageImport) -> Findings:
        """Those that a job's row has."""
        sums = {(day, model): [int(each) for each in amounts] for day, model, *amounts in job.sums}
        return cls(Tally(**job.counts), list(job.errors), sums, job.begin_ms, job.end_ms)

    def stored(self) -> dict[str, Any]:
        """As a job's row keeps them. Amounts may need more than 64 bits: texts."""
        sums = [[*key, *map(str, amounts)] for key, amounts in sorted(self.sums.items())]
        return {
            "counts": vars(self.tally),
            "errors": self.errors,
            "sums": sums,
            "begin_ms": self.begin,
            "end_ms": self.end,
        }

    def refuse(self, place: Place, why: str) -> None:
        self.tally.refused += 1
        if len(self.errors) < ERRORS_KEPT:
            self.errors.append([place.line, place.path, why])

    def spans(self, ts: int) -> None:
        self.begin = ts if self.begin is None else min(self.begin, ts)
        self.end = ts if self.end is None else max(self.end, ts)

    def add(self, event: UsageEvent, before: UsageEvent | None, pricing: Pricing) -> None:
        """Note what an event brings, beside what stood in its place."""
        model = event.model_priced or pricing.named(event.provider, event.model_asked)
        key = (utc_day(event.ts).isoformat(), model)
        if key not in self.sums and len(self.sums) >= GROUPS_KEPT:
            key = (key[0], "")
        kept = self.sums.setdefault(key, [0] * 5)
        for each, sign in ((event, 1), (before, -1)):
            if each is not None:
                for place, amount in enumerate(_amounts(each)):
                    kept[place] += sign * amount


def _amounts(event: UsageEvent) -> tuple[int, int, int, int, int]:
    tokens = input_tokens(event.units) + output_tokens(event.units)
    unpriced = event.calls if event.charge is None else 0
    return event.calls, tokens, _pico(event.cost), _pico(event.charge), unpriced


def _pico(amount: str | None) -> int:
    return 0 if amount is None else pico_from_usd_string(amount)


class Judge:
    """Judges the rows of one import, in the file's order."""

    def __init__(self, job: UsageImport, adapter: Adapter, shapes: Mapping[str, str], *, envs: Sequence[str]) -> None:
        self._job = job
        self._tenant = str(job.tenant_id)
        self._adapter = adapter
        self._shapes = shapes
        self._envs = frozenset(envs)
        self._pricing = pricing_of(self._tenant, job.price_version, job.override_version)
        self._naming = newest_pricing(self._tenant)
        names = list(Project.objects.filter(tenant=self._tenant).values_list("id", "name"))
        self._projects = {name.casefold(): project for project, name in names} | {
            project: project for project, _ in names
        }
        self._passes: dict[int, Passes] = {}
        self._zone = calendar_of(self._tenant)
        self._kept_from = first_kept_day(self._tenant)

    def judge(self, chunk: Sequence[tuple[Found, Named | None]], findings: Findings, closed: int) -> list[Fact]:
        """Judge some rows, adding to the findings; the facts that are to be kept.

        `closed`: until when the tenant's months are sealed, Unix ms.
        """
        facts: list[tuple[Place, Fact, bool]] = []
        for (place, row), named in chunk:
            findings.tally.read += 1
            try:
                if isinstance(row, Bad) or named is None:
                    raise RowError(row.why if isinstance(row, Bad) else "It cannot be read.")
                facts.append((place, self._fact(row, named.event_id, closed), named.again))
            except RowError as error:
                findings.refuse(place, str(error))
        return self._sorted_out(facts, findings) if facts else []

    def _fact(self, row: Row, event_id: str, closed: int) -> Fact:
        if row.ts < closed:
            month = self._zone.day_of(row.ts)
            raise RowError(
                f"{month:%B %Y} is sealed: nothing comes into it any more. Book it as an adjustment instead."
            )
        if row.ts < self._kept_from:
            raise RowError(
                f"It is older than single calls are kept here ({settings.USAGE_RETENTION_DAYS} days): "
                "its day cannot be counted anew."
            )
        project, pool = self._project(row)
        env = row.env or self._job.env
        if env not in self._envs:
            raise RowError(f"There is no environment {env[:40]!r}: choose {' or '.join(sorted(self._envs))}.")
        priced = self._pricing.price(
            ts=row.ts,
            provider=row.provider,
            model=row.model,
            project=project,
            service_tier=row.service_tier,
            units=row.units,
            calls=row.calls,
            context=row.context,
            own=row.cost,
        )
        event = UsageEvent(
            event_id=event_id,
            ts=row.ts,
            env=env,
            tenant=self._tenant,
            project=project,
            key=f"{KEY}{self._adapter.source}",
            end_user=row.end_user,
            tags=row.tags,
            route="import",
            provider=row.provider,
            model_asked=row.model,
            model_priced=priced.model,
            units=row.units,
            price_version=0 if row.cost is not None else self._pricing.version,
            override_version=self._pricing.override_version,
            cost=_usd(priced.cost),
            charge=_usd(priced.charge),
            usage_source=UsageSource.IMPORTED,
            calls=row.calls,
            source=self._adapter.source,
            service_tier=row.service_tier,
            session=row.session,
            credential=pool.removeprefix(CREDENTIAL) if pool.startswith(CREDENTIAL) else "",
            upstream_request_id=row.upstream_request_id,
            status=row.status,
            http_status=row.http_status,
            ttfb_ms=row.ttfb_ms,
            duration_ms=row.duration_ms,
            streamed=row.streamed,
            request_id=self._job.pk,
        )
        return Fact(
            event=event,
            seconds=row.seconds,
            shape=self._shapes.get(shape_key(row.shape), row.shape),
            pool=pool,
            own_cost=row.cost is not None,
            counted=row.counted,
            context=row.context,
            price_version=self._pricing.version,
            import_id=self._job.pk,
        )

    def _project(self, row: Row) -> tuple[str, str]:
        """Our project, and which calls through the gateway the row may hold as well."""
        if row.project:
            found = self._projects.get(row.project, self._projects.get(row.project.casefold()))
            if found is None:
                raise RowError(f"There is no project {row.project[:60]!r}: write its id or its name.")
            return found, f"{PROJECT}{found}"
        for name in row.theirs:
            if name in self._job.mapping:
                project, credential = self._job.mapping[name]
                return project, f"{CREDENTIAL}{credential}" if credential else f"{PROJECT}{project}"
        return str(self._job.project_id), ""

    def _sorted_out(self, facts: Sequence[tuple[Place, Fact, bool]], findings: Findings) -> list[Fact]:
        times = [fact.event.ts for _, fact, _ in facts]
        known = facts_by_id(self._tenant, [fact.event.event_id for _, fact, _ in facts], min(times), max(times))
        shapes = self._known_shapes(fact for _, fact, _ in facts)
        keep: dict[str, Fact] = {}
        coming: dict[str, tuple[Fact, str]] = {}
        for place, fact, again in facts:
            event_id, tally = fact.event.event_id, findings.tally
            stands = keep.get(event_id, known.get(event_id))
            resumed = stands is not None and stands.import_id == fact.import_id and not again and event_id not in keep
            comes = stands is None or stands.withdrawn or resumed
            heavier = stands is not None and not comes and fact.weight > stands.weight
            if (not comes and not heavier) or (stands is None and again):
                tally.same += 1
                findings.spans(fact.event.ts)
                continue
            if why := self._counted_twice(fact, shapes):
                findings.refuse(place, why)
                continue
            findings.spans(fact.event.ts)
            rev = 1 if stands is None else stands.rev + (0 if resumed and stands.weight == fact.weight else 1)
            keep[event_id] = new = _with_rev(fact, rev)
            if event_id in coming:  # a heavier state of a row that this very chunk brings: one row, the later
                tally.same += 1
                coming[event_id] = (new, coming[event_id][1])
            else:
                coming[event_id] = (new, "changed" if heavier else "new")
        self._note(coming, findings)
        return list(keep.values())

    def _note(self, coming: Mapping[str, tuple[Fact, str]], findings: Findings) -> None:
        """Count what comes in, after what passed the gateway is taken off."""
        facts = [fact for fact, _ in coming.values()]
        wanted = counted_calls(self._tenant, [fact for fact in facts if not fact.seconds])
        by_day: dict[int, list[Fact]] = {}
        for fact in facts:
            if fact.seconds:
                by_day.setdefault(fact.event.ts // DAY_MS * DAY_MS, []).append(fact)
        for day, buckets in by_day.items():
            passes = self._passes_of(day, buckets, {fact.event.event_id for fact in buckets})
            wanted |= counted_buckets(self._tenant, buckets, passes, self._naming)
        changed = [fact.event for fact, verdict in coming.values() if verdict == "changed"]
        before = standing(self._tenant, changed) if changed else {}
        for event_id, (fact, verdict) in coming.items():
            event = wanted[event_id]
            if event is not fact.event:
                whole = not event.calls and not event.units and not _pico(event.cost)
                verdict = "matched" if whole else verdict
                findings.tally.reduced += not whole
            setattr(findings.tally, verdict, getattr(findings.tally, verdict) + 1)
            stood = before.get(event_id)
            findings.add(event, stood.as_event(fact.event) if stood else None, self._naming)

    def _passes_of(self, day: int, buckets: Sequence[Fact], coming: set[str]) -> Passes:
        """What passed the gateway on a UTC day and was not taken by buckets that stand, or came before."""
        if day not in self._passes:
            others = [each for each in buckets_in(self._tenant, day, day + DAY_MS) if not each.withdrawn]
            widths = {fact.seconds for fact in (*buckets, *others)}
            passes = passed_on(self._tenant, day, widths, self._naming)
            counted_buckets(
                self._tenant, [each for each in others if each.event.event_id not in coming], passes, self._naming
            )
            self._passes[day] = passes
        return self._passes[day]

    def _known_shapes(self, facts: Iterable[Fact]) -> dict[int, set[str]]:
        """The shapes of the source's buckets that stand, by day, on the days of these."""
        days = {fact.event.ts // DAY_MS * DAY_MS for fact in facts if fact.seconds}
        if not days:
            return {}
        found: dict[int, set[str]] = {}
        for day, shape in shapes_in(self._tenant, self._adapter.source, min(days), max(days) + DAY_MS):
            found.setdefault(day, set()).add(shape)
        return found

    def _counted_twice(self, fact: Fact, shapes: Mapping[int, set[str]]) -> str:
        """Why a bucket would count usage again that stands in buckets of another shape; "" when it would not."""
        if not fact.seconds:
            return ""
        kind = fact.shape.partition(" ")[0]
        day = moment_of(fact.event.ts).date()
        for other in sorted(shapes.get(fact.event.ts // DAY_MS * DAY_MS, ())):
            theirs = other.partition(" ")[0]
            if (kind == COSTS) != (theirs == COSTS):
                have, want = ("costs", "usage") if theirs == COSTS else ("usage", "costs")
                return (
                    f"The {have} of {day} were imported before: its {want} would count the same calls twice. "
                    "Compare the two under Reconcile instead."
                )
            if kind == theirs and other != fact.shape:
                return (
                    f"{day} was imported before from a report {in_words(other)},"
                    f" and this one is {in_words(fact.shape)}: that would count the same calls twice."
                    " Withdraw the other import first, or export it alike."
                )
        return ""


def shape_key(shape: str) -> str:
    """What reports are compared by: the kind and width of a shape, without its grouping."""
    return shape.rpartition(" ")[0]


def merged(shape: str, other: str) -> str:
    """The grouping of a report of which two rows have these shapes: a row is empty in what it has none of."""
    names = set(shape.rpartition(" ")[2].split(",")) | set(other.rpartition(" ")[2].split(","))
    return f"{shape_key(shape)} {','.join(sorted(names - {''}))}"


def in_words(shape: str) -> str:
    """A shape as people read it, such as "by day, grouped by model"."""
    _, seconds, names = shape.split(" ")
    width = {"86400": "by day", "3600": "by hour", "60": "by minute"}.get(seconds, f"of {seconds} seconds each")
    groups = ", ".join(names.split(","))
    return f"{width}, grouped by {groups}" if groups else f"{width}, not grouped"


def _with_rev(fact: Fact, rev: int) -> Fact:
    return fact if fact.rev == rev else msgspec.structs.replace(fact, rev=rev)


def _usd(pico: int | None) -> str | None:
    return None if pico is None else usd_string(pico)


def decimal_of(text: str) -> Decimal:
    """An amount of `Findings.sums` in USD."""
    return Decimal(int(text)).scaleb(-12)
