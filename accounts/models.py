"""People: who they are, how they prove it, what staff did."""

import unicodedata
import uuid
from typing import Any, ClassVar

import pgtrigger
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils.crypto import salted_hmac


def normalise_email(email: str) -> str:
    """Return the one spelling of an address that we store: NFKC, no spaces around it, lower case, the domain in ASCII."""
    whole = unicodedata.normalize("NFKC", email).strip().lower()
    local, at, domain = whole.rpartition("@")
    if domain.isascii():
        return whole
    try:
        return f"{local}{at}{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return whole


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=normalise_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, is_organiser=True, **fields)

    def get_by_natural_key(self, email: str | None) -> "User":
        return self.get(email=normalise_email(email or ""))


class User(AbstractBaseUser, PermissionsMixin):
    """A person. The e-mail address is the login; `session_version` goes up whenever every token must die."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True)
    phone = models.CharField(max_length=32, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False, help_text="May enter the admin.")
    is_organiser = models.BooleanField(default=False, help_text="May create events and manage their own.")
    session_version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: list[str] = []

    objects = UserManager()

    lacks_second_factor = False  # set for one request, where staff have yet to prove theirs (accounts.second_factor)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_is_lower_case"),
        ]
        permissions: ClassVar[list[tuple[str, str]]] = [
            ("assign_roles", "Can give roles and reset second factors"),
            ("every_event", "Works on the events of every organiser"),
        ]

    def __str__(self) -> str:
        return self.email

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Whether the person has a right of staff now: nobody has one without the second factor that is asked of them."""
        return not self.lacks_second_factor and super().has_perm(perm, obj)

    def has_module_perms(self, app_label: str) -> bool:
        return not self.lacks_second_factor and super().has_module_perms(app_label)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Tie page sessions to the password and to `session_version`, so that they die with every other session."""
        value = f"{self.password}:{self.session_version}"
        return salted_hmac("accounts.page-session", value, secret=secret, algorithm="sha256").hexdigest()

    @property
    def display_name(self) -> str:
        """The name to greet with: the given name, else the part of the address before the @."""
        return self.name or self.email.split("@")[0]


class SignupChallenge(models.Model):
    """
    A sign-up that waits for its code; one row per code asked for.

    The code is made when the mail leaves (`sent_at`) and only its keyed hash is kept, so it is readable nowhere but in the
    mail. A challenge for an address that has an account looks the same but never gets a code.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    signup_id = models.UUIDField(
        default=uuid.uuid4, editable=False, help_text="The same for every code of one sign-up."
    )
    email = models.EmailField()
    password = models.CharField(max_length=128, help_text="Hashed; emptied when the challenge is over.")
    name = models.CharField(max_length=150, blank=True)
    phone = models.CharField(max_length=32, blank=True)
    code_salt = models.CharField(max_length=32, blank=True)
    code_hash = models.CharField(max_length=64, blank=True)
    tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    superseded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["email"],
                condition=Q(used_at__isnull=True, superseded_at__isnull=True),
                name="signup_has_one_live_code",
            ),
            models.CheckConstraint(
                condition=Q(used_at__isnull=True) | Q(superseded_at__isnull=True), name="signup_is_used_or_superseded"
            ),
        ]
        indexes = [models.Index(fields=["email", "created_at"], name="signup_by_email")]

    def __str__(self) -> str:
        return f"{self.email} {self.created_at:%Y-%m-%d %H:%M}"


class TokenFamily(models.Model):
    """One log-in of an API client and every refresh token that came of it; revoking it is one UPDATE."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="token_families")
    session_version = models.PositiveIntegerField(
        help_text="The person's at log-in; another one later ends the family."
    )
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(db_default=Now())
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_because = models.CharField(max_length=32, blank=True)
    second_factor_at = models.DateTimeField(null=True, blank=True, help_text="When staff proved their second factor.")

    class Meta:
        verbose_name = "API session"

    def __str__(self) -> str:
        return str(self.pk)


class RefreshToken(models.Model):
    """A refresh token, as the SHA-256 of its text."""

    token_hash = models.CharField(max_length=64, unique=True)
    family = models.ForeignKey(TokenFamily, on_delete=models.CASCADE, related_name="tokens")
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(db_index=True)
    rotated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["family"], condition=Q(rotated_at__isnull=True), name="token_family_has_one_live_token"
            )
        ]

    def __str__(self) -> str:
        return self.token_hash[:8]


class PasswordReset(models.Model):
    """A wish to reset a password. The token is made when the mail leaves; unknown addresses get a row and no mail."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField()
    user = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    token_hash = models.CharField(max_length=64, null=True, blank=True, unique=True)
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(token_hash__isnull=True) | Q(user__isnull=False), name="password_reset_has_an_owner"
            )
        ]
        indexes = [models.Index(fields=["email", "created_at"], name="password_reset_by_email")]

    def __str__(self) -> str:
        return f"{self.email} {self.created_at:%Y-%m-%d %H:%M}"


class KnownAddress(models.Model):
    """A network address a person has logged in from, as a keyed hash: an attacker elsewhere can not slow them down there."""

    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="known_addresses")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        verbose_name_plural = "known addresses"
        constraints = [models.UniqueConstraint(fields=["user", "digest"], name="known_address_is_listed_once")]

    def __str__(self) -> str:
        return self.digest[:8]


class SetupToken(models.Model):
    """Leave to make the first administrator, given by an operator at the command line; works once."""

    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    used_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M}"


class StaffAction(models.Model):
    """
    What a member of staff changed, append-only: the database refuses to alter or delete a row.

    `before` and `after` hold no personal data (only that a name changed, not the name), because these rows outlive an account.
    """

    actor = models.ForeignKey("accounts.User", on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=64)
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    reason = models.TextField(blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-at", "-id"]
        indexes = [models.Index(fields=["object_type", "object_id"], name="staff_action_by_object")]
        triggers = [
            pgtrigger.Protect(name="staff_action_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]

    def __str__(self) -> str:
        return f"{self.action.rpartition('.')[2]} {self.object_type}".replace("_", " ")


class Authenticator(models.Model):
    """
    The app that makes a member of staff's codes (TOTP, RFC 6238). Its secret is sealed; without `confirmed_at` it only began.

    `last_step` is the time step of the last code that was used: the next one must be later, so no code works twice.
    """

    user = models.OneToOneField(
        "accounts.User", primary_key=True, on_delete=models.CASCADE, related_name="authenticator"
    )
    secret_sealed = models.TextField()
    last_step = models.BigIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now())
    confirmed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"authenticator of {self.user_id}"


class Passkey(models.Model):
    """
    A passkey (WebAuthn) of a member of staff: the public half of a key that their device unlocks with a finger, face or PIN.

    `sign_count` is what the device last counted; one that counts back may have been copied, is refused, and is noted in
    `copied_at`. Devices that share their passkeys with others of the same person always count 0.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="passkeys")
    name = models.CharField(max_length=60)
    credential_id = models.CharField(max_length=1400, help_text="What the device calls it, in base64url.")
    public_key = models.BinaryField()
    sign_count = models.BigIntegerField(default=0, db_default=0)
    transports = models.JSONField(default=list, blank=True)
    synced = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(null=True, blank=True)
    copied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["credential_id"], name="passkey_is_registered_once")]

    def __str__(self) -> str:
        return self.name


class PasskeyChallenge(models.Model):
    """What a device is asked to sign: good for one answer, for one purpose, for a short time. Only the session knows its id."""

    class Purpose(models.TextChoices):
        ADD = "add", "Add a passkey"
        PROVE = "prove", "Prove the second factor"
        SIGN_IN = "sign_in", "Sign in"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    purpose = models.CharField(max_length=8, choices=Purpose)
    challenge = models.BinaryField()
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(purpose="sign_in", user__isnull=True) | Q(purpose__in=["add", "prove"], user__isnull=False),
                name="passkey_challenge_is_somebodys_or_a_sign_in",
            )
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.pk}"


class RecoveryCode(models.Model):
    """A code for who has lost their authenticator, as a keyed hash; it works once."""

    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="recovery_codes")
    code_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "code_hash"], name="recovery_code_is_listed_once")]

    def __str__(self) -> str:
        return self.code_hash[:8]


class Notification(models.Model):
    """
    Something a person is told, once per cause: the row is the list's line and the claim on the mail and the text message.

    Its words are made from the kind and `context` when it is shown. `context` holds what those words need and nothing secret.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, db_default=RandomUUID(), editable=False)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="notifications", db_index=False)
    kind = models.CharField(max_length=40)
    cause = models.CharField(max_length=100, help_text="What happened, e.g. the id of a booking.")
    url = models.CharField(max_length=300, blank=True, help_text="The page that it leads to.")
    context = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    read_at = models.DateTimeField(null=True, blank=True)
    texted_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When its text message was claimed: before it is sent, so it never leaves twice.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "kind", "cause"], name="notification_is_sent_once"),
        ]
        indexes = [
            models.Index(fields=["user", "-created_at", "id"], name="notification_by_user"),
            models.Index(fields=["user"], condition=Q(read_at__isnull=True), name="notification_unread"),
            models.Index(fields=["read_at"], condition=Q(read_at__isnull=False), name="notification_read"),
        ]

    def __str__(self) -> str:
        return self.kind.replace("_", " ")


class NotificationChoice(models.Model):
    """What a person has chosen for one group of notifications and one channel; without a row the channel's default holds."""

    class Channel(models.TextChoices):
        MAIL = "mail", "Mail"
        SMS = "sms", "Text message"

    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="notification_choices", db_index=False
    )
    group = models.CharField(max_length=20)
    channel = models.CharField(max_length=8, choices=Channel)
    wanted = models.BooleanField()
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "group", "channel"], name="notification_choice_is_made_once"),
            models.CheckConstraint(condition=Q(channel__in=["mail", "sms"]), name="notification_choice_has_a_channel"),
        ]

    def __str__(self) -> str:
        return f"{self.group} by {self.channel}: {'yes' if self.wanted else 'no'}"
