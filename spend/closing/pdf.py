"""A statement as PDF. The same statement always gives the same bytes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from spend.closing.shown import shown
from spend.closing.statement import Document

_FONTS = Path(__file__).parent / "fonts"  # with the letters of most of Europe's scripts, and signs of currencies
logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of each table of a font
_INK, _QUIET, _LINE, _WARN = (22, 32, 38), (90, 104, 112), (212, 220, 224), (150, 70, 0)
_WIDTH = 186  # mm between the margins


def rendered(document: Document, digest: str) -> bytes:
    """The PDF of a statement; `digest` is the checksum of its JSON, which is printed in it."""
    from fpdf import FPDF  # a job's or a download's, never of the start

    said = shown(document)

    class Pages(FPDF):
        def footer(self) -> None:
            self.set_y(-14)
            self.set_font("DejaVu", size=7)
            self.set_text_color(*_QUIET)
            name = f"{said['tenant']['name']}, {said['title']}, {said['number'] or 'draft'}"
            self.cell(_WIDTH - 30, 4, name)
            self.cell(30, 4, f"Page {self.page_no()} of {{nb}}", align="R")

    pdf = Pages(format="A4")
    pdf.set_creation_date(datetime.fromisoformat(document.get("sealed_at") or document["complete_until"]))
    pdf.set_producer("SpendOps")
    pdf.set_title(f"Statement {said['title']}, {said['tenant']['name']}")
    pdf.set_margins(12, 14, 12)
    pdf.set_auto_page_break(True, margin=18)
    pdf.add_font("DejaVu", fname=_FONTS / "DejaVuSans.ttf")
    pdf.add_font("DejaVu", style="B", fname=_FONTS / "DejaVuSans-Bold.ttf")
    pdf.add_page()
    _head(pdf, said, digest)
    _tables(pdf, said)
    return bytes(pdf.output())


def _head(pdf: Any, said: dict[str, Any], digest: str) -> None:
    pdf.set_text_color(*_INK)
    pdf.set_font("DejaVu", style="B", size=17)
    pdf.cell(0, 9, f"Statement {said['title']}", new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("DejaVu", size=11)
    pdf.multi_cell(0, 6, said["tenant"]["name"], new_x="LMARGIN", new_y="NEXT")
    if not said["final"]:
        pdf.set_text_color(*_WARN)
        pdf.set_font("DejaVu", style="B", size=10)
        words = "Draft. Not final: the month is not sealed, and its figures still move."
        pdf.multi_cell(0, 6, words, new_x="LMARGIN", new_y="NEXT")
    pdf.ln(3)
    facts = [
        ("Number", said["number"]),
        ("Days", f"{said['days']} in {said['zone']}"),
        ("Sealed", said["sealed_at"]),
        ("Complete until", said["complete_until"]),
        ("Rate", said["rate"]),
        ("Unpriced usage", said["unpriced_note"]),
        ("SHA-256 of the JSON", digest if said["final"] else ""),
    ]
    for label, text in facts:
        if text:
            pdf.set_font("DejaVu", size=8)
            pdf.set_text_color(*_QUIET)
            pdf.cell(38, 5, label)
            pdf.set_text_color(*_INK)
            pdf.multi_cell(0, 5, text, new_x="LMARGIN", new_y="NEXT")
    pdf.ln(3)


def _tables(pdf: Any, said: dict[str, Any]) -> None:
    converts = said["converts"]
    money = ["USD", said["currency"]] if converts else ["USD"]
    numbers = ["Requests", "Tokens", *money]
    sums = [
        [name, each["requests"], each["tokens"], each["charge"], *([each["converted"]] if converts else [])]
        for name, each in (
            ("Usage of the month", said["usage"]),
            ("Adjustments of earlier months", said["corrections"]),
            ("Total", said["total"]),
        )
    ]
    _table(pdf, "Charge", ["", *numbers], sums, names=1, last_bold=True)
    centres = [
        [each.name, each.own, each.shared, each.charge, *([each.converted] if converts else [])]
        for each in said["cost_centres"]
    ]
    if len(centres) > 1:
        _table(pdf, "Cost centres", ["Cost centre", "Own usage", "Shared", *money], centres, names=1)
    head = ["Project", "Cost centre", "Model", *numbers]
    _table(pdf, "Usage of the month", head, [_cells(each, converts) for each in said["lines"]], names=3)
    if said["adjustments"]:
        rows = [[f"{each.month}: {each.why}", *_cells(each, converts)] for each in said["adjustments"]]
        _table(pdf, "Adjustments of earlier months", ["Of", *head], rows, names=4)
    if said["unpriced"]:
        rows = [[each.project, each.cost_centre, each.model, each.requests, each.tokens] for each in said["unpriced"]]
        _table(pdf, "Lines that hold unpriced usage", head[:5], rows, names=3)


def _cells(each: Any, converts: bool) -> list[str]:
    cells = [each.project, each.cost_centre, each.model, each.requests, each.tokens, each.charge]
    return [*cells, each.converted] if converts else cells


def _table(
    pdf: Any, title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, names: int, last_bold: bool = False
) -> None:
    from fpdf.fonts import FontFace

    pdf.set_text_color(*_INK)
    pdf.set_font("DejaVu", style="B", size=10)
    pdf.ln(3)
    pdf.cell(0, 7, title, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("DejaVu", size=6.5)
    pdf.set_draw_color(*_LINE)
    if not rows:
        pdf.set_text_color(*_QUIET)
        pdf.cell(0, 5, "Nothing.", new_x="LMARGIN", new_y="NEXT")
        return
    with pdf.table(
        headings_style=FontFace(emphasis="BOLD", color=_QUIET),
        text_align=["LEFT" if place < names else "RIGHT" for place in range(len(head))],
        borders_layout="HORIZONTAL_LINES",
        line_height=4,
        padding=0.8,
        width=_WIDTH,
        first_row_as_headings=True,
    ) as table:
        table.row(head)
        for number, row in enumerate(rows):
            last = last_bold and number == len(rows) - 1
            table.row(row, style=FontFace(emphasis="BOLD") if last else None)
