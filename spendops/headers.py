"""Headers that every answer carries, errors too, beside those of Django's own middleware and the content policy."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

# Nothing of a browser is used but passkeys on this very site.
_OFF = (
    "accelerometer",
    "autoplay",
    "camera",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "hid",
    "identity-credentials-get",
    "idle-detection",
    "local-fonts",
    "magnetometer",
    "microphone",
    "midi",
    "otp-credentials",
    "payment",
    "picture-in-picture",
    "screen-wake-lock",
    "serial",
    "storage-access",
    "usb",
    "xr-spatial-tracking",
)
PERMISSIONS_POLICY = ", ".join(
    [
        *(f"{name}=()" for name in _OFF),
        "publickey-credentials-create=(self)",
        "publickey-credentials-get=(self)",
        "clipboard-write=(self)",
    ]
)

# Pages that are opened by a link with a token: they say nowhere where they were. They have no form that a browser would
# send by itself: without a referrer it sends `Origin: null` with one, which the CSRF check refuses.
_BY_LINK = ("/enrol", "/join", "/recover", "/sign-in", "/step-up")
# Pages that show a secret once are not kept.
_CONFIDENTIAL = ("/tokens", "/keys/issue", "/recovery-codes")


class HeadersMiddleware:
    """Sets Permissions-Policy and Cross-Origin-Resource-Policy, and what confidential pages need."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        by_link = request.path in _BY_LINK or request.path.startswith(tuple(f"{page}/" for page in _BY_LINK))
        if by_link:
            response.headers["Referrer-Policy"] = "no-referrer"
        confidential = by_link or request.path.startswith(_CONFIDENTIAL)
        if confidential and "no-store" not in response.headers.get("Cache-Control", ""):
            response.headers["Cache-Control"] = "no-store"
        return response
