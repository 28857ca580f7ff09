"""Every setting of the management plane, read from the environment once. A bad value stops the start.

What the gateway shares is in `wire/config.py`. `docs/settings.md` lists all of them.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from csp.constants import NONE, SELF

from wire.config import Config, local_secret, shared_token
from wire.env import Env, SettingError
from wire.logs import configure_logging

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()
SPENDOPS = Config.load(env)
PRODUCTION = SPENDOPS.production
DEBUG = env.flag("SPENDOPS_DEBUG", default=False)
SECRET_KEY = local_secret(env, "SPENDOPS_SECRET_KEY", SPENDOPS.data, production=PRODUCTION)

# -- where people and programs reach us
WEB_PORT = env.port("SPENDOPS_WEB_PORT", 8000)
PUBLIC_URL = env.text("SPENDOPS_PUBLIC_URL", f"http://localhost:{WEB_PORT}").rstrip("/")
_public = urlsplit(PUBLIC_URL)
if _public.scheme not in ("http", "https") or not _public.hostname:
    raise SettingError(
        f"SPENDOPS_PUBLIC_URL={PUBLIC_URL!r} is not an address: write it like https://spend.example.com."
    )
if PRODUCTION and (DEBUG or _public.scheme != "https"):
    raise SettingError("Production needs SPENDOPS_DEBUG=false and an https SPENDOPS_PUBLIC_URL.")
SECURE = _public.scheme == "https"
# loopback names are for health probes; links are built from PUBLIC_URL, never from a Host header
ALLOWED_HOSTS = [_public.hostname, "localhost", "127.0.0.1", *env.words("SPENDOPS_ALLOWED_HOSTS", "")]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
WEBAUTHN_RP_ID = env.text("SPENDOPS_WEBAUTHN_RP_ID", _public.hostname)
WEBAUTHN_ORIGIN = PUBLIC_URL

GATEWAY_PORTS = {
    name: env.port(f"SPENDOPS_GATEWAY_PORT_{name.upper()}", 8101 + number)
    for number, name in enumerate(SPENDOPS.environments)
}
GATEWAY_URLS = {
    name: env.text(f"SPENDOPS_GATEWAY_URL_{name.upper()}", f"http://localhost:{port}").rstrip("/")
    for name, port in GATEWAY_PORTS.items()
}

# -- applications
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_otp",
    "django_htmx",
    "csp",
    "changes",
    "access",
    "tenants",
    "pricing",
    "spend",
    "budgets",
    "alerts",
    "publishing",
]
AUTH_USER_MODEL = "access.User"
AUTHENTICATION_BACKENDS = ["access.backends.PasskeyBackend"]
MIDDLEWARE = [
    "changes.middleware.RequestIdMiddleware",
    "spendops.headers.HeadersMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "tenants.frame.problems.ApiAnswersMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "access.middleware.SessionLifetimeMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "access.middleware.PasskeyRequiredMiddleware",
    "tenants.middleware.CurrentTenantMiddleware",
    "tenants.frame.callers.ServiceTokenMiddleware",
    "pricing.state.door.StateServiceMiddleware",
    "spend.middleware.SpendSwitchMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "spendops.urls"
WSGI_APPLICATION = "spendops.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "spendops.context.navigation",
            ],
            "builtins": [
                "spendops.templatetags.figures",
                "spendops.templatetags.icons",
                "spendops.templatetags.permissions",
            ],
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False

# -- SQL


def _database(url: str) -> dict[str, object]:
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": SPENDOPS.data / "spendops.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise SettingError(
            f"SPENDOPS_DATABASE_URL has the engine {parts.scheme!r}: write postgresql://user:password@host:5432/name, "
            "or leave it out for the embedded SQLite."
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5},
    }


DATABASES = {"default": _database(env.secret("SPENDOPS_DATABASE_URL"))}

# -- ClickHouse: the embedded engine listens on loopback and speaks the server's own protocol
CLICKHOUSE_PORT = env.port("SPENDOPS_CLICKHOUSE_PORT", 9010)
CLICKHOUSE_URL = env.secret("SPENDOPS_CLICKHOUSE_URL")
CLICKHOUSE_EMBEDDED = not CLICKHOUSE_URL
if CLICKHOUSE_EMBEDDED:
    _password = local_secret(env, "SPENDOPS_CLICKHOUSE_PASSWORD", SPENDOPS.data, production=False)
    CLICKHOUSE_URL = f"clickhouse://default:{quote(_password, safe='')}@127.0.0.1:{CLICKHOUSE_PORT}/spendops"
SEAL_GRACE_HOURS = env.number("SPENDOPS_SEAL_GRACE_HOURS", 24, least=1, most=24 * 28)
SPEND_PAGES = env.choice("SPENDOPS_SPEND_PAGES", "on", {"on", "off"}) == "on"
if urlsplit(CLICKHOUSE_URL).scheme not in ("clickhouse", "clickhouses"):
    raise SettingError(
        f"SPENDOPS_CLICKHOUSE_URL has the engine {urlsplit(CLICKHOUSE_URL).scheme!r}: "
        "write clickhouse://user:password@host:9000/database, or leave it out for the embedded engine."
    )

# a cluster's tables are replicated; every node holds all rows
CLICKHOUSE_CLUSTER = env.text("SPENDOPS_CLICKHOUSE_CLUSTER")
if CLICKHOUSE_CLUSTER and (CLICKHOUSE_EMBEDDED or not re.fullmatch(r"[A-Za-z0-9_.-]+", CLICKHOUSE_CLUSTER)):
    raise SettingError(
        f"SPENDOPS_CLICKHOUSE_CLUSTER={CLICKHOUSE_CLUSTER!r} cannot be used: write the name of a cluster that the "
        "servers at SPENDOPS_CLICKHOUSE_URL know, or leave it out."
    )


def _retention(name: str) -> int:
    """Days; 0 for ever."""
    days = env.number(name, 0, most=36_500)
    if 0 < days < RETENTION_LEAST:
        raise SettingError(
            f"{name}={days} is too short: months that are not sealed yet are counted from single calls. "
            f"Keep them for {RETENTION_LEAST} days at least, or leave it out to keep them for ever."
        )
    return days


RETENTION_LEAST = 62  # a month, and another one to seal it in
USAGE_RETENTION_DAYS = _retention("SPENDOPS_USAGE_RETENTION_DAYS")
DENIAL_RETENTION_DAYS = _retention("SPENDOPS_DENIAL_RETENTION_DAYS")

# -- jobs: a Celery message is only a wake-up; what is to be done stands in SQL rows
_broker_folder = SPENDOPS.data / "celery"
CELERY_BROKER_URL = env.secret("SPENDOPS_BROKER_URL", "filesystem://")
if CELERY_BROKER_URL == "filesystem://":
    for folder in ("queue", "processed", "control"):
        (_broker_folder / folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker_folder / "queue"),
        "data_folder_out": str(_broker_folder / "queue"),
        "processed_folder": str(_broker_folder / "processed"),
        "control_folder": str(_broker_folder / "control"),
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(_broker_folder / "beat-schedule")
CELERY_TIMEZONE = "UTC"
RATES_URL = env.text("SPENDOPS_RATES_URL")  # "" for the ECB's own feed, "off" for none
PRICE_FILE = env.path("SPENDOPS_PRICE_FILE", "") if env.text("SPENDOPS_PRICE_FILE") else None
PRICE_BAND_PERCENT = env.number("SPENDOPS_PRICE_BAND_PERCENT", 10, least=0, most=1000)
PRICE_CHANGES_MOST = env.number("SPENDOPS_PRICE_CHANGES_MOST", 200, least=0, most=1_000_000)
BUDGET_TICK_SECONDS = env.number("SPENDOPS_BUDGET_TICK_SECONDS", 5, least=1, most=3600)
ANOMALY_LEAST_USD = env.number("SPENDOPS_ANOMALY_LEAST_USD", 5, least=0, most=1_000_000)

# -- mail and Slack
_mail = urlsplit(env.secret("SPENDOPS_MAIL_URL"))
MAIL_TO_OUTBOX = not _mail.scheme
if MAIL_TO_OUTBOX:
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"  # deliveries are kept and shown on the outbox page
elif _mail.scheme in ("smtp", "smtps"):
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST = _mail.hostname or "localhost"
    EMAIL_PORT = _mail.port or (465 if _mail.scheme == "smtps" else 587)
    EMAIL_HOST_USER = unquote(_mail.username or "")
    EMAIL_HOST_PASSWORD = unquote(_mail.password or "")
    EMAIL_USE_SSL = _mail.scheme == "smtps"
    EMAIL_USE_TLS = _mail.scheme == "smtp" and env.flag("SPENDOPS_MAIL_STARTTLS", default=True)
    EMAIL_TIMEOUT = 10
else:
    raise SettingError("SPENDOPS_MAIL_URL must begin with smtp:// or smtps://, like smtp://user:password@host:587.")
# whether alerts may go to addresses of a private network; else only to public ones, because tenants name them
ALLOW_PRIVATE_WEBHOOKS = env.flag("SPENDOPS_ALLOW_PRIVATE_WEBHOOKS", default=False)
ENVELOPE_KEY = local_secret(env, "SPENDOPS_ENVELOPE_KEY", SPENDOPS.data, production=PRODUCTION)
DEFAULT_FROM_EMAIL = env.text("SPENDOPS_MAIL_FROM", "SpendOps <spendops@localhost>")

# -- the audit trail: its key makes the digests; its heads lie outside the database, best on another machine's disk
AUDIT_KEY = local_secret(env, "SPENDOPS_AUDIT_KEY", SPENDOPS.data, production=PRODUCTION)
AUDIT_HEADS = env.path("SPENDOPS_AUDIT_HEADS", str(SPENDOPS.data / "audit" / "heads.jsonl"))

# -- KV: backups of the namespaces
KV_BACKUPS = env.path("SPENDOPS_KV_BACKUPS", str(SPENDOPS.data / "backups" / "kv"))
KV_BACKUPS_KEPT = env.number("SPENDOPS_KV_BACKUPS_KEPT", 8, least=1, most=10_000)

# -- exports: files of spend, on a disk that web processes and the worker share
EXPORTS = env.path("SPENDOPS_EXPORTS", str(SPENDOPS.data / "exports"))
EXPORT_DAYS = env.number("SPENDOPS_EXPORT_DAYS", 7, least=1, most=365)

# -- sessions, cookies, headers
SESSION_IDLE_SECONDS = env.number("SPENDOPS_SESSION_IDLE_SECONDS", 15 * 60, least=60)
SESSION_ABSOLUTE_SECONDS = env.number("SPENDOPS_SESSION_ABSOLUTE_SECONDS", 8 * 3600, least=300)
READER_SESSION_IDLE_SECONDS = env.number("SPENDOPS_READER_SESSION_IDLE_SECONDS", 8 * 3600, least=60)
READER_SESSION_ABSOLUTE_SECONDS = env.number("SPENDOPS_READER_SESSION_ABSOLUTE_SECONDS", 24 * 3600, least=300)
IS_READER = "tenants.people.is_reader"  # access asks it whose sessions may last longer; it knows no roles itself
STEP_UP_SECONDS = env.number("SPENDOPS_STEP_UP_SECONDS", 5 * 60, least=30, most=3600)
CEREMONY_SECONDS = 120
SESSION_ENGINE = "access.session_engine"
SESSION_COOKIE_AGE = max(SESSION_ABSOLUTE_SECONDS, READER_SESSION_ABSOLUTE_SECONDS)
SESSION_COOKIE_NAME = "__Host-session" if SECURE else "session"
SESSION_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "__Host-csrf" if SECURE else "csrf"
CSRF_COOKIE_SECURE = SECURE
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
LOGIN_URL = "/sign-in"
LOGIN_REDIRECT_URL = "/"  # on to the first page that the role may open
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^health$", r"^ready$"]
BEHIND_PROXY = env.flag("SPENDOPS_BEHIND_PROXY", default=False)  # one proxy, which sets X-Forwarded-For and -Proto
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# -- the API
API_REQUESTS_PER_MINUTE = env.number("SPENDOPS_API_REQUESTS_PER_MINUTE", 600, least=1, most=1_000_000)

# -- the state service: which models there are and what tiers stand for, to callers from inside
STATE_SERVICE_SHARED_TOKEN = shared_token(env, "STATE_SERVICE_SHARED_TOKEN", production=PRODUCTION)
STATE_SERVICE_PUBLIC = env.flag("SPENDOPS_STATE_SERVICE_PUBLIC", default=False)

# -- static files, messages, logs
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = SPENDOPS.data / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_MAX_AGE = 31_536_000
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

LOG_LEVEL = env.choice("SPENDOPS_LOG_LEVEL", "info", {"debug", "info", "warning", "error"})
LOG_FORMAT = env.choice("SPENDOPS_LOG_FORMAT", "json" if PRODUCTION else "console", {"json", "console"})
LOGGING_CONFIG = None
configure_logging(level=LOG_LEVEL, form=LOG_FORMAT)
