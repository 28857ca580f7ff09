"""Addresses that only a form sends to."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def post_or_page(page: str, *names: str) -> Callable[[View], View]:
    """Whoever comes by GET, as from the address bar or after signing in, is led to a page that has the form.

    `page` is an address's name, `names` those of its parts, which the view's own address has, too.
    """

    def decorated(view: View) -> View:
        @wraps(view)
        def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method != "POST":
                return redirect(page, **{name: kwargs[name] for name in names})
            return view(request, *args, **kwargs)

        return cast(View, require_http_methods(["GET", "HEAD", "POST"])(shown))

    return decorated
