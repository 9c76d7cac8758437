"""A quiet standard error while a framework is imported that writes to it before any setting counts.

TensorFlow tells on some processors which instructions it uses, straight to descriptor 2, before
its own log level is read. Inside our commands that text would break the promise of one line an
error, so it goes to a temporary file; other programs that import the package keep theirs.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

_in_command = False


@contextlib.contextmanager
def as_command() -> Iterator[None]:
    """While one of our commands runs, standard error belongs to us."""
    global _in_command  # noqa: PLW0603  # descriptor 2 belongs to the process, and so does this
    before, _in_command = _in_command, True
    try:
        yield
    finally:
        _in_command = before


@contextlib.contextmanager
def quiet_descriptor() -> Iterator[None]:
    """Keep what is written to descriptor 2 out of sight; show all of it if the body raises.

    Does nothing outside our commands, and where descriptor 2 is closed.
    """
    if not _in_command:
        yield
        return
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    try:
        with tempfile.TemporaryFile() as hidden:
            os.dup2(hidden.fileno(), 2)
            try:
                yield
            except BaseException:
                os.dup2(kept, 2)
                hidden.seek(0)
                _show(hidden.read())
                raise
            finally:
                os.dup2(kept, 2)
    finally:
        os.close(kept)


def _show(text: bytes) -> None:
    with contextlib.suppress(OSError):  # nobody is there to read it
        while text:
            text = text[os.write(2, text) :]
