"""SIGINT, SIGTERM and SIGHUP: each raises InterruptedRunError, once."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

from batchdigits.errors import InterruptedRunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# The signal that told this process to stop. It is kept because the handler's exception can get
# lost: an extension module that is being imported makes an ImportError of it, or drops it.
_interrupted_by: list[int] = []
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def raise_if_interrupted() -> None:
    """Raise InterruptedRunError if a signal has come, even if its exception got lost."""
    if _interrupted_by:
        raise InterruptedRunError(_interrupted_by[0])


@contextlib.contextmanager
def signals_caught() -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP raise InterruptedRunError, once, and do as before at the end."""
    _interrupted_by.clear()

    def stop(number: int, _frame: object) -> NoReturn:
        ignore_signals()  # a second signal must not interrupt the cleaning up
        _interrupted_by.append(number)
        raise InterruptedRunError(number)

    # nohup ignores SIGHUP, and means it.
    caught = [n for n in _STOPPING if signal.getsignal(n) is not signal.SIG_IGN]
    caught = caught if _is_main_thread() else []
    before = [(number, signal.signal(number, stop)) for number in caught]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def ignore_signals() -> None:
    """From now on nothing stops this process but SIGKILL."""
    if _is_main_thread():
        for number in _STOPPING:
            signal.signal(number, signal.SIG_IGN)


def _is_main_thread() -> bool:
    """Whether signals are ours to handle: Python gives them to the main thread alone."""
    import threading

    return threading.current_thread() is threading.main_thread()
