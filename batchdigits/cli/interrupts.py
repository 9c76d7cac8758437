"""SIGINT, SIGTERM and SIGHUP: the first one raises InterruptedRunError."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator

from batchdigits.errors import InterruptedRunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# The signal that came. An extension module that is being imported may turn the handler's exception
# into an ImportError, or drop it.
_interrupted_by: list[int] = []
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def raise_if_interrupted() -> None:
    """Raise InterruptedRunError if a signal has come, even if its exception was lost."""
    if _interrupted_by:
        raise InterruptedRunError(_interrupted_by[0])


@contextlib.contextmanager
def signals_caught() -> Iterator[None]:
    """Raise InterruptedRunError at the first signal; restore the handlers at the end.

    Where nobody can catch it, as in a finalizer or below a library in C, it is not printed either;
    nor is what it does to a thread that was just being started.
    """
    _interrupted_by.clear()
    print_unraisable = sys.unraisablehook

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        in_a_start = bool(_interrupted_by) and "in thread started by" in (lost.err_msg or "")
        if not isinstance(lost.exc_value, InterruptedRunError) and not in_a_start:
            print_unraisable(lost)

    def stop(number: int, _frame: object) -> NoReturn:
        ignore_signals()  # a second signal must not interrupt the cleanup
        _interrupted_by.append(number)
        raise InterruptedRunError(number)

    # Under nohup, SIGHUP is ignored and must stay so.
    caught = [n for n in _STOPPING if signal.getsignal(n) is not signal.SIG_IGN]
    caught = caught if _is_main_thread() else []
    before = [(number, signal.signal(number, stop)) for number in caught]
    sys.unraisablehook = unraisable
    try:
        yield
    finally:
        sys.unraisablehook = print_unraisable
        for number, handler in before:
            signal.signal(number, handler)
        _interrupted_by.clear()


def ignore_signals() -> None:
    """Ignore SIGINT, SIGTERM and SIGHUP from now on."""
    if _is_main_thread():
        for number in _STOPPING:
            signal.signal(number, signal.SIG_IGN)


def _is_main_thread() -> bool:
    """Tell whether this thread may set handlers: Python allows it to the main thread only."""
    # Whoever starts a thread has imported it; for --help alone it takes half a millisecond.
    threading = sys.modules.get("threading")
    return threading is None or threading.current_thread() is threading.main_thread()
