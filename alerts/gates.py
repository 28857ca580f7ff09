"""The only ways to a channel or a delivery that a request names: a stranger's gets the same 404 as one that is not."""

from __future__ import annotations

from django.http import Http404

from alerts.models import Channel, Delivery
from tenants.http import TenantRequest

_NOT_THERE = "There is nothing at this address."


def delivery_for(request: TenantRequest, delivery_id: str) -> Delivery:
    """The delivery with this id, if it is of the request's tenant. Raises Http404."""
    rows = Delivery.objects.filter(tenant=request.tenant).select_related("channel", "crossing__budget")
    delivery = rows.filter(id=delivery_id).first()
    if delivery is None:
        raise Http404(_NOT_THERE)
    return delivery


def channel_for(request: TenantRequest, channel_id: str) -> Channel:
    """The active channel with this id, if it is of the request's tenant. Raises Http404."""
    channel = Channel.objects.filter(tenant=request.tenant, id=channel_id, status=Channel.Status.ACTIVE).first()
    if channel is None:
        raise Http404(_NOT_THERE)
    return channel
