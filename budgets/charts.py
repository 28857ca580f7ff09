"""A budget's running total against its limit."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from spend.charts import daily_chart
from spend.stack import Stack
from tenants.frame.charts import GRID, INK, TEXT, Chart
from wire import display


def against_limit(spend: Stack, *, limit: int, today: date, axis_last: date) -> Chart:
    """The running total by day, the limit as a line across, and as a dotted one the even pace that uses it up exactly.

    `limit` is pico-USD. The axis is stretched to show the limit unless spend is far below it.
    """
    chart = daily_chart(spend, today=today, axis_last=axis_last, cumulative=True)
    layout: dict[str, Any] = chart.figure["layout"]
    usd = display.usd_exact(limit).removeprefix("$").replace(",", "")
    before = f"{spend.days[0] - timedelta(days=1)} 12:00"
    after = f"{axis_last} 12:00"
    layout["shapes"] = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": usd,
            "y1": usd,
            "line": {"color": INK[0], "width": 1.5},
        },
        {
            "type": "line",
            "x0": before,
            "x1": after,
            "y0": "0",
            "y1": usd,
            "line": {"color": TEXT[0], "width": 1, "dash": "dot"},
        },
    ]
    layout["annotations"] = [
        {
            "text": f"Limit {display.usd_exact(limit)}",
            "xref": "paper",
            "x": 1,
            "y": usd,
            "xanchor": "right",
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"color": INK[0], "size": 12},
        }
    ]
    top = max(limit, spend_pico(spend))
    layout["yaxis"] |= {"range": ["0", _usd(top + top // 8)], "gridcolor": GRID[0], "tickformat": _ticks(top)}
    return Chart(chart.figure, f"{chart.says} The limit is {display.usd_exact(limit)}.")


def spend_pico(spend: Stack) -> int:
    """What a stack comes to, in pico-USD."""
    return int(spend.total.charge.scaleb(12))


def _usd(pico: int) -> str:
    return display.usd_exact(pico).removeprefix("$").replace(",", "")


def _ticks(top: int) -> str:
    """As many places as the axis needs, by the digits of its highest amount."""
    places = 13 - len(str(top))
    return f",.{max(0, places + 1) if places > -1 else 0}f"
