"""What a test may turn: faults, and how webhooks are delivered."""

import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from payments.sandbox.wire import Refusal


@dataclass
class Fault:
    """
    Something that goes wrong with the next `times` requests to a path.

    `fail_before`: 500 and nothing happened. `fail_after`: 500 although it happened; Stripe keeps that 500 under the
    idempotency key (`replays="error"`), a proxy in between would not (`replays="answer"`). `hang`: it happens and the
    answer comes `seconds` late. `slow`: it happens, and is answered, `seconds` late.
    """

    path: str
    kind: str
    method: str = "POST"
    times: int = 1
    seconds: float = 12.0
    replays: str = "error"


@dataclass
class Switches:
    """The state of every switch; `POST /sandbox/control` changes those it names, `DELETE` resets all."""

    delayed_seconds: float = 5.0
    late_seconds: float = 735.0
    refund_outcome: str = "succeeded"  # or pending, failed
    webhooks_paused: bool = False
    webhook_delay_seconds: float = 0.0
    webhook_copies: int = 1
    webhook_reorder: bool = False
    webhook_drop: int = 0  # the next so many are never sent; -1: all
    faults: list[Fault] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock, repr=False)

    def change(self, wanted: dict[str, Any]) -> None:
        """
        Turn the named switches.

        :raises Refusal: if there is no such switch
        """
        names = set(self.__dataclass_fields__) - {"lock"}
        if unknown := set(wanted) - names:
            raise Refusal(
                400, f"There is no switch {', '.join(sorted(unknown))}. There are: {', '.join(sorted(names))}."
            )
        with self.lock:
            for name, value in wanted.items():
                setattr(self, name, [Fault(**fault) for fault in value] if name == "faults" else value)

    def reset(self, like: "Switches") -> None:
        """Put every switch back."""
        self.change({name: value for name, value in like.state().items() if name != "faults"} | {"faults": []})

    def state(self) -> dict[str, Any]:
        """Return every switch as JSON."""
        return {
            name: [asdict(fault) for fault in self.faults] if name == "faults" else getattr(self, name)
            for name in self.__dataclass_fields__
            if name != "lock"
        }

    def take_fault(self, method: str, path: str) -> Fault | None:
        """Return the fault this request runs into, and count it."""
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and path.startswith(fault.path):
                    fault.times -= 1
                    return fault
        return None

    def take_drop(self) -> bool:
        """Whether the next delivery gets lost."""
        with self.lock:
            if self.webhook_drop > 0:
                self.webhook_drop -= 1
                return True
            return self.webhook_drop < 0
