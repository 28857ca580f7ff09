"""What packages above hear of before it happens. A receiver that raises RefusedError stops it."""

from __future__ import annotations

from django.dispatch import Signal

zone_changing = Signal()  # `tenant`, locked, and the `zone` that it is about to have, which may be the one that it has
