"""A quiet standard error while TensorFlow is imported.

On some processors TensorFlow writes to descriptor 2 before it reads its own log level. Our commands
promise one line an error, so they send that text to a temporary file. Programs that import the
package see it as usual.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from batchdigits.errors import InterruptedRunError

_in_command = False


@contextlib.contextmanager
def as_command() -> Iterator[None]:
    """Mark that one of our commands runs, which makes `quiet_descriptor` work."""
    global _in_command  # noqa: PLW0603  # descriptor 2 is global to the process, and so is this
    before, _in_command = _in_command, True
    try:
        yield
    finally:
        _in_command = before


def in_command() -> bool:
    """Return whether one of our commands runs, and not a program that imports the package."""
    return _in_command


@contextlib.contextmanager
def quiet_descriptor() -> Iterator[None]:
    """Hide what is written to descriptor 2; show it if the body raises.

    Does nothing outside our commands, or if descriptor 2 is closed.
    """
    if not _in_command:
        yield
        return
    import tempfile  # only here: --help must not wait for it

    with contextlib.ExitStack() as stack:
        try:
            hidden = stack.enter_context(tempfile.TemporaryFile())
            original = os.dup(2)
        except OSError:  # no place to write, or no standard error: then the noise stays
            yield
            return
        stack.callback(os.close, original)
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except Exception as error:
            os.dup2(original, 2)
            if not isinstance(error, InterruptedRunError):
                hidden.seek(0)
                _show(hidden.read())
            raise
        finally:
            os.dup2(original, 2)


def _show(text: bytes) -> None:
    with contextlib.suppress(OSError):  # nobody reads standard error
        while text:
            text = text[os.write(2, text) :]
