"""What spend keeps in SQL, a file a subject. Events are in ClickHouse."""

from spend.models.counting import CountedZone, DirtyDay
from spend.models.export import Export
from spend.models.forecast import Forecast
from spend.models.rerating import ReratedTenant, Rerating, ReratingPlan
from spend.models.unpriced import UnpricedModel

__all__ = [
    "CountedZone",
    "DirtyDay",
    "Export",
    "Forecast",
    "ReratedTenant",
    "Rerating",
    "ReratingPlan",
    "UnpricedModel",
]
