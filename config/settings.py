"""
Every setting of Fairseat, read from the environment (12-factor). README.md has the table.

With DEBUG on, whatever is not set points at the embedded PostgreSQL, Redis and payment sandbox; with DEBUG off a missing
setting stops the start with its name. Durations are whole seconds.
"""

from pathlib import Path

import environ

from config.embedded.places import addresses, broker_url
from config.env import (
    development_fernet_key,
    development_secret,
    env,
    env_bool,
    env_choice,
    env_int,
    env_ints,
    env_list,
    env_path,
    env_url,
)
from config.logs import report_errors, structlog_config

BASE_DIR = Path(__file__).resolve().parent.parent
environ.Env.read_env(BASE_DIR / ".env", overwrite=False) if (BASE_DIR / ".env").is_file() else None

DEBUG = env_bool("DEBUG", False)
ROLE = env("ROLE", "command")  # web, worker, beat or command: decides pooling and timeouts
DATA_DIR = env_path("DATA_DIR", BASE_DIR / ".data")
HOST = env("HOST", "127.0.0.1")  # what the web server listens on
PORT = env_int("PORT", 8000, low=1, high=65535)
EMBEDDED = addresses(DATA_DIR)

# -- Secrets and hosts ------------------------------------------------------------------------------------------------
SECRET_KEY = env("SECRET_KEY", development_secret(DATA_DIR) if DEBUG else None)
SECRET_KEY_FALLBACKS = env_list("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1],testserver" if DEBUG else None)
SITE_URL = env_url("SITE_URL", f"http://localhost:{PORT}" if DEBUG else None, schemes=("http", "https")).rstrip("/")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS", SITE_URL)
CORS_ALLOWED_ORIGINS = env_list("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/api/.*$"
CORS_EXPOSE_HEADERS = [
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "ETag",
    "Next-Poll-Ms",
    "X-Request-Id",
]
CORS_ALLOW_HEADERS = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "prefer",
    "x-queue-token",
]
TRUSTED_PROXIES = env_int("TRUSTED_PROXIES", 0, high=5)  # how many proxies of ours append to X-Forwarded-For

# -- Applications -----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "corsheaders",
    "csp",
    "django_celery_beat",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pgtrigger",
    "rest_framework",
    "common",
    "accounts",
    "events",
    "faceverify",
    "bookings",
    "bookings.waitingroom",
    "payments",
    "waitlist",
    "registrations",
    "webhooks",
    "analytics",
    "gate",
    "config",
]
MIDDLEWARE = [
    "config.middleware.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.StaticFilesMiddleware",
    "config.middleware.CorsMiddleware",
    "config.middleware.CompressionMiddleware",
    "config.middleware.SessionMiddleware",
    "config.middleware.CsrfViewMiddleware",
    "config.middleware.AuthenticationMiddleware",
    "config.middleware.MessageMiddleware",
    "config.pages.CurrentHoldMiddleware",
    "accounts.middleware.LoginLimitMiddleware",
    "accounts.middleware.SecondFactorMiddleware",
    "config.middleware.FrameOptionsMiddleware",
    "config.middleware.ContentSecurityPolicyMiddleware",
    "config.middleware.NonsenseMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.pages.site",
            ]
        },
    }
]

# -- PostgreSQL -------------------------------------------------------------------------------------------------------
DATABASE_URL = env_url("DATABASE_URL", EMBEDDED.database_url if DEBUG else None, schemes=("postgres", "postgresql"))
STATEMENT_TIMEOUT_MS = {"web": 15_000, "worker": 60_000}.get(ROLE, 0)
IDLE_TIMEOUT_MS = {"web": 5_000, "worker": 30_000}.get(ROLE, 0)
LOCK_TIMEOUT_MS = {"web": 3_000, "worker": 10_000}.get(ROLE, 30_000)
DATABASES = {"default": environ.Env.db_url_config(DATABASE_URL)}
DATABASES["default"] |= {
    "ENGINE": "common.postgres",
    "CONN_HEALTH_CHECKS": ROLE != "web",  # the web's pool is checked by the backend itself
    "CONN_MAX_AGE": 0 if ROLE == "web" else 60,
    "OPTIONS": {
        **DATABASES["default"].get("OPTIONS", {}),
        "application_name": f"fairseat-{ROLE}",
        "connect_timeout": 5,
        "options": (
            f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS}"
            f" -c idle_in_transaction_session_timeout={IDLE_TIMEOUT_MS} -c timezone=UTC"
        ),
    },
}
REPORTING_ROLE = env("REPORTING_ROLE", "fairseat_reporting")  # reads sales and no person, see config/reporting.py
WEB_WORKERS = env_int("WEB_WORKERS", 2, low=1, high=100)
WEB_THREADS = env_int("WEB_THREADS", 24, low=1, high=500)  # per worker
if ROLE == "web":
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": env_int("DB_POOL_SIZE", WEB_THREADS, low=1, high=500),
        "timeout": 5,
    }

# -- Redis and Celery -------------------------------------------------------------------------------------------------
REDIS_URL = env_url("REDIS_URL", EMBEDDED.redis_url if DEBUG else None, schemes=("redis", "rediss", "unix"))
QUEUE_REDIS_URL = env_url("QUEUE_REDIS_URL", REDIS_URL, schemes=("redis", "rediss", "unix"))  # the waiting rooms'
REDIS_TIMEOUT = 2
CELERY_BROKER_URL = env("CELERY_BROKER_URL", broker_url(REDIS_URL))
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 60
CELERY_TASK_SOFT_TIME_LIMIT = 50
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 90,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": REDIS_TIMEOUT + 3,
    "socket_connect_timeout": REDIS_TIMEOUT,
}
CELERY_BEAT_SCHEDULER = "config.beat:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
CELERY_TIMEZONE = "UTC"
WORKER_PROCESSES = env_int("WORKER_PROCESSES", 2, low=1, high=100)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False

# -- Accounts ---------------------------------------------------------------------------------------------------------
PASSWORD_HASHERS = ["accounts.hashers.Argon2Hasher"]
AUTHENTICATION_BACKENDS = ["accounts.backends.AccountBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/tickets"
LOGOUT_REDIRECT_URL = "/"
OTP_SECONDS = env_int("OTP_SECONDS", 300, low=30, high=3600)
OTP_MAX_TRIES = env_int("OTP_MAX_TRIES", 5, low=1, high=20)
OTP_RESEND_SECONDS = env_int("OTP_RESEND_SECONDS", 60, high=3600)
OTP_SENDS_PER_HOUR = env_int("OTP_SENDS_PER_HOUR", 5, low=1, high=100)
ACCESS_TOKEN_SECONDS = env_int("ACCESS_TOKEN_SECONDS", 300, low=30, high=86_400)
REFRESH_TOKEN_SECONDS = env_int("REFRESH_TOKEN_SECONDS", 14 * 86_400, low=60)
REFRESH_GRACE_SECONDS = env_int("REFRESH_GRACE_SECONDS", 10, high=60)
PASSWORD_RESET_SECONDS = env_int("PASSWORD_RESET_SECONDS", 3600, low=60)
SETUP_TOKEN_SECONDS = env_int("SETUP_TOKEN_SECONDS", 86_400, low=60)
# Failed log-ins per window: of one account from one address, and of one account from all addresses its owner never used.
LOGIN_TRIES = env_int("LOGIN_TRIES", 10, low=1, high=1000)
STAFF_MFA = env_choice("STAFF_MFA", "optional", ["off", "optional", "required"])
STAFF_MFA_SECONDS = env_int("STAFF_MFA_SECONDS", 12 * 3600, low=60, high=30 * 86_400)
STAFF_RECENT_SECONDS = env_int("STAFF_RECENT_SECONDS", 600, low=30, high=86_400)  # to change one's own factors
PASSKEY_SECONDS = env_int("PASSKEY_SECONDS", 300, low=30, high=3600)  # to answer a device's challenge
MFA_TRIES = env_int("MFA_TRIES", 5, low=1, high=100)
MFA_WINDOW_SECONDS = env_int("MFA_WINDOW_SECONDS", 300, low=10, high=86_400)
LOGIN_TRIES_PER_ACCOUNT = env_int("LOGIN_TRIES_PER_ACCOUNT", 100, low=1, high=100_000)
LOGIN_WINDOW_SECONDS = env_int("LOGIN_WINDOW_SECONDS", 900, low=10, high=86_400)
ERASURE_STEPS = [  # called before a person is erased, see accounts.services.profiles
    "waitlist.erasure.forget_entries",
    "bookings.erasure.release_bookings",
    "bookings.waitingroom.erasure.leave_lines",
    "registrations.erasure.anonymise_registrations",
    "faceverify.services.erase_faces",
]
TIMELINE_SOURCES = ["gate.timeline.scans_of"]  # what else the histories of bookings and people tell

# -- Selling ----------------------------------------------------------------------------------------------------------
HOLD_SECONDS = env_int("HOLD_SECONDS", 600, low=5, high=86_400)
HOLD_EXTENSION_SECONDS = env_int("HOLD_EXTENSION_SECONDS", 120, low=1, high=3600)
HOLD_MAX_EXTENSIONS = env_int("HOLD_MAX_EXTENSIONS", 10, high=100)
HOLDS_PER_HOUR = env_int("HOLDS_PER_HOUR", 6, low=1, high=1000)
CODE_TRIES = env_int("CODE_TRIES", 10, low=1, high=10_000)  # codes that do not exist, a person and window
CODE_TRIES_PER_ADDRESS = env_int("CODE_TRIES_PER_ADDRESS", 100, low=1, high=100_000)  # ... of all behind one address
CODE_WINDOW_SECONDS = env_int("CODE_WINDOW_SECONDS", 900, low=10, high=86_400)
PAYMENT_GRACE_SECONDS = env_int("PAYMENT_GRACE_SECONDS", 120, high=600)
# Opening a payment with less than this left on the hold extends it once, so that there is time to type a card number.
PAYMENT_MARGIN_SECONDS = env_int("PAYMENT_MARGIN_SECONDS", min(30, HOLD_SECONDS // 4), high=600)
PROMOTE_SECONDS = env_int("PROMOTE_SECONDS", 5, low=1, high=3600)
OFFER_SECONDS = env_int("OFFER_SECONDS", 86_400, low=5)
# How long before an offer ends its person is reminded, each once.
OFFER_REMIND_SECONDS = env_ints("OFFER_REMIND_SECONDS", "21600,3600", low=1, high=604_800)
WAITLIST_TOGETHER_SECONDS = env_int("WAITLIST_TOGETHER_SECONDS", 900, high=86_400)
WAITLIST_MAX_LAPSES = env_int("WAITLIST_MAX_LAPSES", 2, high=100)
WAITLIST_JOIN = "waitlist.services.join_rest"  # where bookings puts the rest of a partial booking
WAITLIST_SHOW = "waitlist.api.serializers.show_entry"  # how the API shows it
OUTBOX_SECONDS = env_int("OUTBOX_SECONDS", 5, low=1, high=3600)
SWEEP_SECONDS = env_int("SWEEP_SECONDS", 60, low=1, high=3600)
MAX_TICKETS_PER_BOOKING = env_int("MAX_TICKETS_PER_BOOKING", 10, low=1, high=1000)
CANCEL_UNTIL_HOURS = env_int("CANCEL_UNTIL_HOURS", 24)
TRANSFER_UNTIL_HOURS = env_int("TRANSFER_UNTIL_HOURS", 24, high=24 * 365)
INVITATION_SECONDS = env_int("INVITATION_SECONDS", 7 * 86_400, low=60)
INVITATIONS_PER_TICKET = env_int("INVITATIONS_PER_TICKET", 10, low=1, high=1000)  # a day
HOLDS_COMMIT_ASYNC = env_bool("HOLDS_COMMIT_ASYNC", False)
BOOKING_GATES = [  # asked before seats of an event that has a gate are held
    "registrations.gates.face_verified",
    "bookings.waitingroom.gates.admitted",
]
QUEUE_SLOT_SECONDS = env_int("QUEUE_SLOT_SECONDS", 300, low=1, high=86_400)
QUEUE_EXTENSION_SECONDS = env_int("QUEUE_EXTENSION_SECONDS", 60, low=20, high=3600)  # "I need more time" to choose
QUEUE_MAX_EXTENSIONS = env_int("QUEUE_MAX_EXTENSIONS", 10, high=100)
QUEUE_CLAIM_SECONDS = env_int("QUEUE_CLAIM_SECONDS", 60, low=1, high=3600)
QUEUE_PROMOTE_SECONDS = env_int("QUEUE_PROMOTE_SECONDS", 5, low=1, high=60)
QUEUE_DRAIN_SECONDS = env_int("QUEUE_DRAIN_SECONDS", 1, low=1, high=60)
QUEUE_NEARLY_SECONDS = env_int("QUEUE_NEARLY_SECONDS", 180, low=1, high=3600)
QUEUE_LOBBY_SECONDS = env_int("QUEUE_LOBBY_SECONDS", 1800, high=604_800)  # before the sale; 0: no lobby, no draw
SHARED_READ_MS = env_int(
    "SHARED_READ_MS", 250, high=1000
)  # how long a crowd shares one answer of the catalogue; 0: never
IDEMPOTENCY_SECONDS = env_int("IDEMPOTENCY_SECONDS", 86_400, low=60)

# -- Faces ------------------------------------------------------------------------------------------------------------
FACE_ENGINE = env("FACE_ENGINE", "local")  # local or rekognition; one never stands in for the other
SIMILARITY_THRESHOLD = env_int("SIMILARITY_THRESHOLD", 80, low=50, high=100)
# The engines' scales differ: 99 is what AWS advises for doors, and would refuse nine of ten honest people locally.
FACE_THRESHOLDS = {
    "local": SIMILARITY_THRESHOLD,
    "rekognition": env_int("REKOGNITION_THRESHOLD", 95, low=50, high=100),
}
MAX_VERIFICATION_ATTEMPTS = env_int("MAX_VERIFICATION_ATTEMPTS", 3, low=1, high=20)
FACE_TEMPLATE_KEYS = env_list("FACE_TEMPLATE_KEYS", development_fernet_key(SECRET_KEY) if DEBUG else None)
FACE_KEEP_CROP = env_bool("FACE_KEEP_CROP", True)
FACE_RETENTION_DAYS = env_int("FACE_RETENTION_DAYS", 7, high=365)
FACE_UNUSED_DAYS = env_int("FACE_UNUSED_DAYS", 30, low=1, high=365)
FACE_REVIEW_HOURS = env_int("FACE_REVIEW_HOURS", 72, low=1, high=72)
FACE_IMAGE_SECONDS = env_int("FACE_IMAGE_SECONDS", 900, low=10, high=86_400)
FACE_MAX_BYTES = env_int("FACE_MAX_BYTES", 8_388_608, low=10_000, high=52_428_800)
FACE_MAX_PIXELS = env_int("FACE_MAX_PIXELS", 25_000_000, low=1_000_000, high=100_000_000)
FACE_LOOKS_PER_MINUTE = env_int("FACE_LOOKS_PER_MINUTE", 10, low=1, high=1000)
FACE_LOOKS_PER_DAY = env_int("FACE_LOOKS_PER_DAY", 60, low=1, high=100_000)
FACE_LIVENESS_SECONDS = env_int("FACE_LIVENESS_SECONDS", 180, low=10, high=180)  # AWS forgets a session after 180
FACE_LIVENESS_THRESHOLD = env_int("FACE_LIVENESS_THRESHOLD", 80, low=1, high=100)
FACE_CHECK_SECONDS = env_int("FACE_CHECK_SECONDS", 25, low=5, high=120)  # a worker that takes longer is taken for dead
FACE_WAIT_SECONDS = env_int("FACE_WAIT_SECONDS", 6, high=30)
PURGE_SECONDS = env_int("PURGE_SECONDS", 3600, low=1, high=86_400)
AWS_REGION = env("AWS_REGION", "")
AWS_STORAGE_BUCKET_NAME = env("AWS_STORAGE_BUCKET_NAME", "")  # set: faces lie in S3; empty: below DATA_DIR
AWS_S3_ENDPOINT_URL = env("AWS_S3_ENDPOINT_URL", "")
REKOGNITION_ENDPOINT_URL = env("REKOGNITION_ENDPOINT_URL", "")

# -- Payments ---------------------------------------------------------------------------------------------------------
PAYMENTS_SANDBOX = env_bool("PAYMENTS_SANDBOX", DEBUG and not env("STRIPE_SECRET_KEY", ""))
SANDBOX_PORT = env_int("SANDBOX_PORT", PORT + 1, low=1, high=65535)
SANDBOX_URL = f"http://127.0.0.1:{SANDBOX_PORT}"
STRIPE_API_BASE = env_url(
    "STRIPE_API_BASE", SANDBOX_URL if PAYMENTS_SANDBOX else "https://api.stripe.com", schemes=("http", "https")
)
STRIPE_SECRET_KEY = env("STRIPE_SECRET_KEY", "sk_test_sandbox" if PAYMENTS_SANDBOX else None)
# Which ways to pay a hold may use. Cards answer within seconds; a bank transfer does not within a hold. `dashboard`: all that
# are switched on at Stripe.
STRIPE_PAYMENT_METHODS = env_list("STRIPE_PAYMENT_METHODS", "card")
STRIPE_PUBLISHABLE_KEY = env("STRIPE_PUBLISHABLE_KEY", "pk_test_sandbox" if PAYMENTS_SANDBOX else None)
STRIPE_WEBHOOK_SECRETS = env_list("STRIPE_WEBHOOK_SECRETS", "whsec_sandbox" if PAYMENTS_SANDBOX else None)

# -- Mail -------------------------------------------------------------------------------------------------------------
EMAIL_URL = env("EMAIL_URL", "")
if EMAIL_URL:
    vars().update(environ.Env.email_url_config(EMAIL_URL))
else:
    EMAIL_BACKEND = "common.mail.RecordedEmailBackend" if DEBUG else env("EMAIL_BACKEND")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", "Fairseat <tickets@fairseat.test>" if DEBUG else None)
MAIL_DOMAIN = DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip("> ")

# -- Figures and outgoing webhooks ------------------------------------------------------------------------------------
ANALYTICS_SECONDS = env_int("ANALYTICS_SECONDS", 15, low=1, high=3600)  # how far figures may lag behind
WEBHOOK_SECONDS = env_int("WEBHOOK_SECONDS", 5, low=1, high=3600)
WEBHOOK_DISABLE_DAYS = env_int("WEBHOOK_DISABLE_DAYS", 5, low=1, high=90)  # of failing; then it is switched off
WEBHOOK_LOG_DAYS = env_int("WEBHOOK_LOG_DAYS", 30, low=4, high=365)
WEBHOOK_PRIVATE_ADDRESSES = env_bool("WEBHOOK_PRIVATE_ADDRESSES", False)  # for trying receivers on one's own machine

# -- The gate ---------------------------------------------------------------------------------------------------------
GATE_OPENS_SECONDS = env_int("GATE_OPENS_SECONDS", 4 * 3600, high=30 * 86_400)  # before the event starts
GATE_LIST_SECONDS = env_int("GATE_LIST_SECONDS", 86_400, low=60, high=604_800)  # how long an offline list is good
GATE_FACE_TRIES = env_int("GATE_FACE_TRIES", 3, high=20)  # faces compared per ticket; then an ID
# A code that a device sees again within so many seconds is the same sight.
GATE_SIGHT_SECONDS = env_int("GATE_SIGHT_SECONDS", 3, high=60)

# -- Notifications ----------------------------------------------------------------------------------------------------
SMS_BACKEND = env("SMS_BACKEND", "")  # dotted path of a class with send(to, text, key); empty: no text messages
NOTIFICATION_DAYS = env_int("NOTIFICATION_DAYS", 90, low=1, high=3650)  # how long read ones stay in the list
EVENT_CHANGE_SECONDS = env_int("EVENT_CHANGE_SECONDS", 120, high=3600)  # corrections within it are told as one change
EVENT_AUDIENCES = [  # whom a changed event concerns: functions that take its id and return ids of people
    "bookings.news.people_with_bookings",
    "waitlist.audience.people_waiting",
    "registrations.audience.people_registered",
]

# -- Limits (requests per window of seconds, per person first, then per address) --------------------------------------
THROTTLES = {
    # scope: ((per person, seconds), (per address, seconds), refuse when Redis is away)
    "face": ((env_int("THROTTLE_FACE", 20), 60), (env_int("THROTTLE_FACE_ADDRESS", 600), 60), True),
    "auth": ((env_int("THROTTLE_AUTH", 10), 60), (env_int("THROTTLE_AUTH_ADDRESS", 60), 60), True),
    "booking": ((env_int("THROTTLE_BOOKING", 30), 60), (env_int("THROTTLE_BOOKING_ADDRESS", 3000), 60), False),
    "read": ((env_int("THROTTLE_READ", 600), 60), (env_int("THROTTLE_READ_ADDRESS", 60_000), 60), False),
}

# -- API --------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.AccessTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["config.renderers.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["config.renderers.CamelCaseParser"],
    "DEFAULT_THROTTLE_CLASSES": ["config.throttling.TieredThrottle"],
    "DEFAULT_PAGINATION_CLASS": "common.api.Pages",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "config.renderers.AlwaysJson",
    "DEFAULT_SCHEMA_CLASS": "config.schema.EnvelopeSchema",
    "EXCEPTION_HANDLER": "config.api.render_error",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "NUM_PROXIES": TRUSTED_PROXIES,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Fairseat",
    "DESCRIPTION": "Fair tickets for events that sell out in minutes.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": False,  # what comes in and what goes out have serializers of their own (…In, …Out)
    "COMPONENT_SPLIT_PATCH": False,
    "PREPROCESSING_HOOKS": ["config.aliases.leave_out"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.schema.describe_envelope",
    ],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "EventStatus": "events.models.Event.Status",
        "BookingStatus": "bookings.states.Status",
        "TicketStatus": "bookings.models.Ticket.Status",
        "TicketHandoverStatus": "bookings.models.TicketHandover.Status",
        "WaitlistStatus": "waitlist.models.WaitlistEntry.Status",
        "RegistrationStatus": "registrations.models.Registration.Status",
        "FaceVerificationStatus": "registrations.models.Registration.FaceStatus",
        "GateReason": "gate.reasons.Reason",
        "ReasonEnum": "waitlist.models.WaitlistEntry.Reason",
        "BatchAction": "registrations.models.BatchRun.Action",
    },
}

# -- Pages, static files, languages -----------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
FORMAT_MODULE_PATH = ["config.formats"]
STATIC_URL = "/static/"
STATIC_ROOT = env_path("STATIC_ROOT", DATA_DIR / "static")
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "config.static_files.HashedStaticFiles"
    },
    # Faces: no web address leads here, and a client of S3 is told nothing but how to upload one file.
    "faces": {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": AWS_STORAGE_BUCKET_NAME,
            "region_name": AWS_REGION or None,
            "endpoint_url": AWS_S3_ENDPOINT_URL or None,
            "location": "faces",
            "default_acl": None,
            "file_overwrite": False,
            "object_parameters": {"ServerSideEncryption": "AES256", "CacheControl": "no-store"},
        },
    }
    if AWS_STORAGE_BUCKET_NAME
    else {"BACKEND": "faceverify.storage.PrivateFiles", "OPTIONS": {"location": DATA_DIR / "faces"}},
}
MEDIA_ROOT = DATA_DIR / "media"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 86_400
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "config.pages.csrf_failure"

# -- Security headers -------------------------------------------------------------------------------------------------
SECURE_TRANSPORT = env_bool("SECURE_TRANSPORT", not DEBUG)  # HTTPS in front: secure cookies, HSTS, redirect
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = SECURE_TRANSPORT
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_TRANSPORT else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_TRANSPORT
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
# These two ask for Django's own middleware by name; ours derive from it (tests/config/test_security.py).
SILENCED_SYSTEM_CHECKS = ["security.W002", "security.W003"]
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
FILE_UPLOAD_MAX_MEMORY_SIZE = FACE_MAX_BYTES + 65_536  # a form with one picture of a face is not spooled to a disk
STRIPE_ORIGINS = [] if PAYMENTS_SANDBOX else ["https://js.stripe.com", "https://*.stripe.com"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'", *STRIPE_ORIGINS],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:"],
        "connect-src": ["'self'", *([SANDBOX_URL] if PAYMENTS_SANDBOX else ["https://api.stripe.com"])],
        "frame-src": STRIPE_ORIGINS or ["'none'"],
        "form-action": ["'self'", *([SANDBOX_URL] if PAYMENTS_SANDBOX else ["https://checkout.stripe.com"])],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
    }
}
ADMIN_CONTENT_SECURITY_POLICY = CONTENT_SECURITY_POLICY["DIRECTIVES"] | {
    "script-src": ["'self'", "'unsafe-eval'", "'unsafe-inline'"],
    "style-src": ["'self'", "'unsafe-inline'"],
}

# -- Watching ---------------------------------------------------------------------------------------------------------
LOGGING = structlog_config(json=not DEBUG or env_bool("JSON_LOGS", True), level=env("LOG_LEVEL", "INFO"))
LOG_REQUESTS = env_bool("LOG_REQUESTS", True)
METRICS_TOKEN = env("METRICS_TOKEN", "")
report_errors(env("SENTRY_DSN", ""))

UNFOLD = {
    "SITE_TITLE": "Fairseat",
    "SITE_HEADER": "Fairseat",
    "SITE_SUBHEADER": "Staff",
    "SITE_SYMBOL": "confirmation_number",
    "SITE_URL": "/",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "config.admin.icon"}],
    "ENVIRONMENT": "config.admin.environment",
    "DASHBOARD_CALLBACK": "analytics.dashboard.staff_dashboard",
    "SIDEBAR": {"navigation": "config.navigation.navigation"},
    "ACCOUNT": {"navigation": "config.navigation.account_links"},
    "STYLES": ["config.admin.stylesheet"],
    "SCRIPTS": ["config.admin.script"],
    "BORDER_RADIUS": "10px",
    "COLORS": {
        "primary": {
            "50": "#EFEDFC",
            "100": "#E0DCF9",
            "200": "#C9C0FF",
            "300": "#A99CFF",
            "400": "#B5AAFF",
            "500": "#9D8FFA",
            "600": "#4B3BD6",
            "700": "#3D2FB3",
            "800": "#2F2589",
            "900": "#231C63",
            "950": "#16132B",
        }
    },
}
