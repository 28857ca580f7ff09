"""The audit trail's words for exports."""

from __future__ import annotations

from changes.trail import Noun, register

register(
    nouns={"export": Noun("Export")},
    sentences={
        "export.begun": "{actor} asked for the export {target} ({after[export_kind]} as {after[format]})",
        "export.finished": "{actor} finished the export {target}: {after[rows]} rows",
        "export.failed": "{actor} could not write the export {target}: {after[error]}",
        "export.cancelled": "{actor} cancelled the export {target}",
        "export.downloaded": "{actor} downloaded the export {target}",
        "export.deleted": "{actor} deleted the export {target}",
        "export.expired": "{actor} deleted the file of the export {target}, whose time was over",
    },
    labels={"export_kind": "What", "sha256": "SHA-256", "partial": "Partial"},
)
