"""The plot of writes by hour, in the look of the spend pages' charts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import plotly.graph_objects as go

from spend.charts import OPEN_DAY
from tenants.frame.charts import GRID, INK, SERIES, SURFACE, TEXT, Chart
from wire.display import counted


def writes_chart(hours: Sequence[tuple[datetime, int]]) -> Chart:
    """Bars, a bar an hour, the last of which is not over and hatched."""
    figure = go.Figure(
        data=[
            go.Bar(
                name="Writes",
                x=[f"{hour:%Y-%m-%d %H:%M}" for hour, _ in hours],
                y=[number for _, number in hours],
                hovertemplate="%{y:,}",
                marker={
                    "color": SERIES[0][0],
                    "line": {"width": 0},
                    "pattern": {
                        "shape": [""] * (len(hours) - 1) + [OPEN_DAY],
                        "fillmode": "replace",
                        "size": 6,
                        "solidity": 0.45,
                    },
                },
            )
        ]
    )
    top = max((number for _, number in hours), default=0)
    figure.update_layout(
        template=None,
        bargap=0.28,
        showlegend=False,
        hovermode="x unified",
        dragmode=False,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        font={"family": "Inter, system-ui, sans-serif", "size": 12, "color": TEXT[0]},
        hoverlabel={"bgcolor": SURFACE[0], "bordercolor": GRID[0], "font": {"color": INK[0], "size": 12}},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis={
            "type": "date",
            "tickformat": "%H:%M",
            "hoverformat": "%a %-d %b %H:%M",
            "showgrid": False,
            "fixedrange": True,
            "automargin": True,
            "ticks": "",
            "ticklabelstandoff": 4,
            "nticks": 8,
        },
        yaxis={
            "type": "linear",
            "tickformat": ",d",
            "rangemode": "tozero",
            "range": None if top else [0, 5],
            "dtick": 1 if 0 < top < 5 else None,
            "gridcolor": GRID[0],
            "zerolinecolor": GRID[0],
            "fixedrange": True,
            "automargin": True,
            "nticks": 4,
        },
    )
    total = counted(sum(number for _, number in hours), "write")
    says = f"Writes by hour, the last {len(hours)} hours: {total}. The table shows the same values."
    return Chart(json.loads(figure.to_json()), says)
