"""Forms of the buyers' pages."""

from django import forms


class HolderForm(forms.Form):
    """Who is to hold a ticket."""

    email = forms.EmailField(
        max_length=254,
        error_messages=dict.fromkeys(("required", "invalid"), "Enter an email address, for example ana@example.com."),
    )
