"""Batch scoring of scanned digits: train a network, pack it as a bundle, score files with it.

>>> import batchdigits
>>> bundle = batchdigits.open_bundle()
>>> table = bundle.predict(images)              # NumPy (n, 64), Arrow or pandas
>>> summary = batchdigits.score("forms.parquet")
>>> rows = batchdigits.rows_from_images(crops)  # a picture of each character, any size
"""

from __future__ import annotations

from batchdigits._version import __version__

TYPE_CHECKING = False  # importing `typing` takes a tenth of the time of --help
if TYPE_CHECKING:
    from typing import Any

    from batchdigits.api import Bundle, normalise, open_bundle, pack, rows_from_images, score
    from batchdigits.errors import BatchdigitsWarning
    from batchdigits.scoring.run import RunSummary

__all__ = [
    "BatchdigitsWarning",
    "Bundle",
    "RunSummary",
    "__version__",
    "normalise",
    "open_bundle",
    "pack",
    "rows_from_images",
    "score",
]


def __dir__() -> list[str]:
    """List the names that are imported when they are first used, for `dir` and `help`."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import a name when it is first used, so that `--help` does not wait for Arrow."""
    if name == "BatchdigitsWarning":
        from batchdigits.errors import BatchdigitsWarning

        return BatchdigitsWarning
    if name in __all__:
        from batchdigits import api
        from batchdigits.scoring.run import RunSummary

        return RunSummary if name == "RunSummary" else getattr(api, name)
    raise AttributeError(f"module 'batchdigits' has no attribute {name!r}")
