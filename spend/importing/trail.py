"""The audit trail's words for imports."""

from __future__ import annotations

from collections.abc import Collection

from changes.trail import Names, Noun, register
from spend.models import UsageImport


def _names(ids: Collection[str]) -> Names:
    return dict(UsageImport.objects.filter(pk__in=ids).values_list("pk", "file_name"))


def _find(text: str) -> Collection[str]:
    return list(UsageImport.objects.filter(file_name__icontains=text).values_list("pk", flat=True)[:200])


register(
    nouns={"import": Noun("Import", _names, _find)},
    sentences={
        "import.begun": "{actor} handed in the file {target} for import",
        "import.checked": "{actor} checked {target}: {after[new]} rows would come in",
        "import.confirmed": "{actor} confirmed the import {target}",
        "import.finished": "{actor} imported {target}: {after[new]} rows came in",
        "import.failed": "{actor} ended the import {target}: {after[why]}",
        "import.discarded": "{actor} discarded the file {target}",
        "import.withdrawal_begun": "{actor} began to withdraw the import {target}",
        "import.withdrawn": "{actor} withdrew the import {target}",
    },
    labels={"same": "Stood already", "matched": "Passed the gateway", "reduced": "Passed the gateway in part"},
)
