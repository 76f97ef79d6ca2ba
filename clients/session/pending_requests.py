"""Numbered requests that wait for their answers. No sockets, no threads of its own; thread-safe."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any, TypeVar

from longtake.protocol.errors import LongtakeError, ProtocolError, Refused, RequestTimeout
from longtake.protocol.messages import Error, Message

T = TypeVar("T")

ANSWERED_WITHIN_S = 5.0
"""how long an answer that has arrived may take to be handed out"""


@dataclass(frozen=True, kw_only=True)
class _Pending:
    answer: type[Message]
    future: "Future[Any]"


class PendingRequests:
    """Numbers requests, and completes the future of each when its answer arrives."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._lock = threading.Lock()

    def begin(self, answer: type[T]) -> tuple[int, "Future[T]"]:
        """Return a new number and the future that will hold the answer, of class `answer`."""
        future: Future[T] = Future()
        with self._lock:
            number = next(self._numbers)
            self._pending[number] = _Pending(answer=answer, future=future)  # type: ignore[arg-type]
        return number, future

    def forget(self, number: int) -> None:
        """Drop a request that could not be sent."""
        with self._lock:
            self._pending.pop(number, None)

    def settle(self, message: Message) -> bool:
        """Complete the request that `message` answers; return False if it answers none."""
        number = getattr(message, "request", None)
        with self._lock:
            pending = self._pending.pop(number, None) if isinstance(number, int) else None
        if pending is None:
            return False
        if isinstance(message, Error):
            error = Refused(message.code, message.message, retryable=message.retryable, request=number)
            settle(pending.future, error=error)
        elif isinstance(message, pending.answer):
            settle(pending.future, result=message)
        else:
            text = f"the server answered a request with {type(message).__name__}, not {pending.answer.__name__}"
            settle(pending.future, error=ProtocolError("invalid", text))
        return True

    def fail_all(self, error: LongtakeError) -> None:
        """Fail every request that still waits."""
        with self._lock:
            waiting, self._pending = list(self._pending.values()), {}
        for pending in waiting:
            settle(pending.future, error=error)


def wait_answer(future: "Future[T]", timeout_s: float, what: str) -> T:
    """Return the future's result, or raise `RequestTimeout` naming `what` was asked for."""
    try:
        return future.result(timeout_s)
    except TimeoutError:
        if not future.cancel():  # the answer came just now, or it is a time limit of the answer itself
            return future.result(ANSWERED_WITHIN_S)
        raise no_answer(what, timeout_s) from None
    except BaseException:  # such as Ctrl-C: nobody will take the answer
        future.cancel()
        raise


def wait_or_give_up(future: "Future[T]", timeout_s: float, what: str, give_up: Callable[[T], object]) -> T:
    """As `wait_answer`. If the wait ends without a result, by Ctrl-C too, `give_up` gets what comes all the same."""

    def came(late: "Future[T]") -> None:
        if not late.cancelled() and late.exception() is None:
            give_up(late.result())

    try:
        return wait_answer(future, timeout_s, what)
    except BaseException:
        future.add_done_callback(came)
        raise


def no_answer(what: str, timeout_s: float) -> RequestTimeout:
    """Return the error for a request that was not answered in time."""
    return RequestTimeout(
        f"no answer to {what} within {timeout_s:g} s; the server may be busy: try again or raise the timeout"
    )


def settle(future: "Future[Any]", *, result: Any = None, error: BaseException | None = None) -> None:
    """Complete a future unless its waiter has given up."""
    try:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    except InvalidStateError:
        return  # the waiter gave up and cancelled it


def hand_on(answered: "Future[T]", waiting: "Future[T]") -> None:
    """Complete a future that waits for the same answer as one that is done."""
    if answered.cancelled():
        waiting.cancel()
    elif (error := answered.exception()) is not None:
        settle(waiting, error=error)
    else:
        settle(waiting, result=answered.result())
