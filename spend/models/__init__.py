"""What spend keeps in SQL, a file a subject. Events are in ClickHouse."""

from spend.models.anomaly import Anomaly
from spend.models.closing import Booking, MonthSeal, Statement
from spend.models.cost_centres import CostCentreBook
from spend.models.counting import CountedZone, DirtyDay
from spend.models.export import Export
from spend.models.forecast import Forecast
from spend.models.importing import ImportingTenant, ImportPart, UsageImport
from spend.models.reconciling import InvoiceComparison
from spend.models.report import Report, ReportMail, ReportRecipient, ReportSending
from spend.models.rerating import ReratedTenant, Rerating, ReratingPlan
from spend.models.saved_view import DefaultView, SavedView
from spend.models.unpriced import UnpricedModel

__all__ = [
    "Anomaly",
    "Booking",
    "CostCentreBook",
    "CountedZone",
    "DefaultView",
    "DirtyDay",
    "Export",
    "Forecast",
    "ImportPart",
    "ImportingTenant",
    "InvoiceComparison",
    "MonthSeal",
    "Report",
    "ReportMail",
    "ReportRecipient",
    "ReportSending",
    "ReratedTenant",
    "Rerating",
    "ReratingPlan",
    "SavedView",
    "Statement",
    "UnpricedModel",
    "UsageImport",
]
