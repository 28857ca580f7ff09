"""What the charts of all pages share: their colours in both themes, and the frame of a Plotly figure.

Figures are JSON, drawn by static/js/chart.js, in the light colours; `DARK` has the dark ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# (light, dark), in the order of the groups; the same as --so-series-1 … in static/css/tokens.css.
SERIES = (
    ("#3b7dd8", "#6ba3ef"),
    ("#8a63c9", "#ab8ae3"),
    ("#c65c94", "#e286b6"),
    ("#8d8f3c", "#b5b75f"),
    ("#9b6f52", "#c79a7b"),
    ("#8db4ea", "#3f6aa6"),
    ("#c3abe6", "#6d549b"),
)
OTHER = ("#8a97a3", "#75838f")
TEXT = ("#52616d", "#9dadb8")
GRID = ("#e4e9ec", "#232e36")
SURFACE = ("#ffffff", "#141c22")
INK = ("#16212a", "#e5ebef")
PACE = ("#a4342f", "#ef8b84")
BAND = ("rgba(82,97,109,0.16)", "rgba(157,173,184,0.2)")
DARK = dict((*SERIES, OTHER, TEXT, GRID, SURFACE, INK, PACE, BAND))


@dataclass(frozen=True)
class Chart:
    """What a page needs: the figure, its colours in the dark theme, and what it shows in words."""

    figure: dict[str, Any]
    says: str

    @property
    def payload(self) -> dict[str, Any]:
        return {"figure": self.figure, "dark": DARK}


def frame_of(*, xaxis: dict[str, Any], yaxis: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A figure's layout in our look, with what the axes add to it."""
    plain = {"fixedrange": True, "automargin": True}
    return {
        "template": None,
        "showlegend": False,
        "dragmode": False,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "font": {"family": "Inter, system-ui, sans-serif", "size": 12, "color": TEXT[0]},
        "hoverlabel": {"bgcolor": SURFACE[0], "bordercolor": GRID[0], "font": {"color": INK[0], "size": 12}},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": plain | {"showgrid": False, "ticks": "", "ticklabelstandoff": 4} | xaxis,
        "yaxis": plain | {"gridcolor": GRID[0], "zerolinecolor": GRID[0], "nticks": 5} | yaxis,
        **more,
    }
