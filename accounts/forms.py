"""Forms of the account pages. They check shape only; what an address or password must be is decided by the services."""

from typing import Any

from django import forms

from accounts.api.serializers import PHONE


class Password(forms.CharField):
    """A password, kept as typed: spaces at its ends count."""

    def __init__(self, *, new: bool, **rest: Any) -> None:
        kind = "new-password" if new else "current-password"
        widget = forms.PasswordInput(attrs={"autocomplete": kind, "maxlength": 256, "data-password": ""})
        missing = "Choose a password." if new else "Enter your password."
        super().__init__(strip=False, max_length=256, widget=widget, error_messages={"required": missing}, **rest)


class Email(forms.EmailField):
    def __init__(self, kind: str = "email", **rest: Any) -> None:
        wrong = "Enter an email address, for example ana@example.com."
        widget = forms.EmailInput(attrs={"autocomplete": kind, "inputmode": "email", "spellcheck": "false"})
        super().__init__(
            label="Email", max_length=254, widget=widget, error_messages={"required": wrong, "invalid": wrong}, **rest
        )


CHOOSE_WELL = "At least 10 characters. Three or four words in a row are easy to remember."


class SignupForm(forms.Form):
    email = Email(help_text="We send a code and your tickets there.")
    password = Password(new=True, help_text=CHOOSE_WELL)
    name = forms.CharField(
        label="Your name",
        required=False,
        max_length=150,
        help_text="Stands on your tickets.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )


class CodeForm(forms.Form):
    otp = forms.CharField(
        label="Code from the mail",
        max_length=20,
        error_messages={"required": "Enter the six digits from the mail."},
        widget=forms.TextInput(
            attrs={"class": "code", "inputmode": "numeric", "autocomplete": "one-time-code", "spellcheck": "false"}
        ),
    )


class LoginForm(forms.Form):
    email = Email("username")
    password = Password(new=False)


class ForgotForm(forms.Form):
    email = Email()


class ResetForm(forms.Form):
    password = Password(new=True, label="New password", help_text=CHOOSE_WELL)


class ProfileForm(forms.Form):
    name = forms.CharField(
        label="Name",
        required=False,
        max_length=150,
        help_text="Stands on the tickets you book from now on.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    phone = forms.RegexField(
        PHONE,
        label="Phone",
        required=False,
        error_messages={"invalid": "Write a telephone number, for example +49 30 1234567."},
        max_length=32,
        help_text="Only used if an event changes at the last minute.",
        widget=forms.TextInput(attrs={"autocomplete": "tel", "inputmode": "tel", "type": "tel"}),
    )


class ChangePasswordForm(forms.Form):
    current = Password(new=False, label="Current password")
    password = Password(new=True, label="New password", help_text=CHOOSE_WELL)


class EraseForm(forms.Form):
    password = Password(new=False, label="Your password")
    cancel = forms.BooleanField(label="Also cancel my upcoming bookings; what I paid comes back", required=False)
