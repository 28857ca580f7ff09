"""The audit trail's words for re-ratings and anomalies."""

from __future__ import annotations

import spend.closing.trail
import spend.cost_centres.trail
import spend.exploring.trail
import spend.exports.trail
import spend.importing.trail
import spend.reconciling.trail
import spend.reports.trail  # noqa: F401 - registers its own words
from changes.trail import Noun, register

register(
    nouns={"rerating": Noun("Re-rating"), "anomaly": Noun("Anomaly")},
    sentences={
        "rerating.dry_run_begun": "{actor} began a dry run of re-rating, {target}",
        "rerating.dry_run_finished": "{actor} finished the dry run {target}: {after[changed]} calls would change",
        "rerating.begun": "{actor} began the re-rating {target} with price book {after[price_version]}",
        "rerating.finished": "{actor} finished the re-rating {target}: {after[changed]} calls changed",
        "rerating.stopped": "{actor} stopped the re-rating {target}",
        "anomaly.settled": "{actor} settled the anomaly {target}: {after[status]}",
        "rerating.resumed": "{actor} resumed the re-rating {target}",
    },
    labels={"charge_before": "Charge before (USD)", "charge_after": "Charge after (USD)"},
)
