"""Numbered requests that wait for their answers. No sockets, no threads of its own; thread-safe."""

import itertools
import threading
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any, TypeVar

from longtake.protocol.errors import LongtakeError, ProtocolError, Refused, RequestTimeout
from longtake.protocol.messages import Error, Message

T = TypeVar("T")


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
        if future.done():
            raise
        future.cancel()
        raise no_answer(what, timeout_s) from None


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
