"""
The ways a service may refuse, one base class per HTTP status.

A concrete error is declared beside the function that raises it, with a stable `code` for programs and a sentence for a
person. `config.api` renders them for the API, pages show the message, commands turn them into CommandError.
"""

from typing import Any, ClassVar


class FairseatError(Exception):
    """
    Base of every anticipated refusal.

    `message` is for a person in a hurry: what happened and what to do next. `extra` adds machine-readable fields to the
    API's body (e.g. `available: 3`). `retry_after` is in seconds.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "error"
    message: ClassVar[str] = "That did not work."

    def __init__(
        self,
        message: str = "",
        *,
        errors: dict[str, list[str]] | None = None,
        retry_after: int | None = None,
        **extra: Any,
    ) -> None:
        self.text = message or self.message
        self.errors = errors or {}
        self.retry_after = retry_after
        self.extra = extra
        super().__init__(self.text)


class Invalid(FairseatError):
    status = 400
    code = "invalid"
    message = "Please check what you sent."


class NotAuthenticated(FairseatError):
    status = 401
    code = "not_authenticated"
    message = "Log in first."


class PaymentRequired(FairseatError):
    status = 402
    code = "payment_required"
    message = "The payment is not complete."


class Forbidden(FairseatError):
    status = 403
    code = "forbidden"
    message = "You may not do that."


class NotFound(FairseatError):
    status = 404
    code = "not_found"
    message = "There is nothing here, or it is not yours."


class Conflict(FairseatError):
    status = 409
    code = "conflict"
    message = "That is no longer possible."


class Gone(FairseatError):
    status = 410
    code = "gone"
    message = "That is over."


class Unprocessable(FairseatError):
    status = 422
    code = "unprocessable"
    message = "That can not be used."


class TooMany(FairseatError):
    status = 429
    code = "too_many"
    message = "Too many tries. Wait a moment."


class Unavailable(FairseatError):
    status = 503
    code = "busy"
    message = "We're very busy. Nothing was lost. Try again in a few seconds."


class IllegalTransition(Conflict):
    """Raised when a guarded change of status found the row in another status than it needs."""

    code = "illegal_transition"
    message = "That step is no longer possible."
