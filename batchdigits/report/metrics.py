"""The metrics of the last run, as a file for the textfile collector of Prometheus' node_exporter.

The format is that of prometheus.io/docs/instrumenting/exposition_formats, text version 0.0.4.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from batchdigits.errors import BatchdigitsError, OutputError, as_ours
from batchdigits.files.atomic import check_output, replace_file
from batchdigits.files.plain import read_small

if TYPE_CHECKING:
    from batchdigits.scoring.run import RunSummary

_PREFIX = "batchdigits_predict_last_"
_MOST_BYTES = 1 << 20
_STATUSES = ("scored", "unchanged", "kept", "refused")

METRICS = {
    "run_timestamp_seconds": "When the last run ended, in seconds since 1970.",
    "success_timestamp_seconds": "When the last run with exit code 0 ended, since 1970.",
    "exit_code": "The exit code of the last run.",
    "duration_seconds": "How long the last run took.",
    "inputs": "Inputs of the last run, by what became of them.",
    "rows": "Rows of the inputs of the last run, by what became of them.",
    "rows_to_review": "Predicted rows of the last run that go to review.",
    "drift": "Drift of the rows of the last run from the training data, 0 to 1.",
    "bundle_info": "The bundle of the last run.",
}
"""Each metric without its prefix, with its help. All are gauges."""

logger = logging.getLogger("batchdigits")


class MetricsFile:
    """The file of metrics that `--metrics` names; one command writes it, again and again.

    Every series has the label `run`, the file's name without `.prom`: the files of several commands
    in one folder then have no series in common, of which the collector would show one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._started = time.time()
        self.summary: RunSummary | None = None

    @classmethod
    def checked(cls, name: str) -> MetricsFile:
        """Check the file before any work.

        Raises UsageError unless its name ends in .prom, OutputError if it can't be written, or if a
        file of that name holds other metrics.
        """
        path = check_output(name, overwrite=True, suffix=".prom", flag="--metrics")
        try:
            text = read_small(path, _MOST_BYTES)
        except FileNotFoundError:
            return cls(path)
        except OSError:
            text = b"# "
        if text and not text.startswith(f"# HELP {_PREFIX}".encode()):
            raise OutputError(
                f"{path}: exists and is not a file of --metrics; move it away, or name another"
            )
        return cls(path)

    @contextmanager
    def of_run(self) -> Iterator[MetricsFile]:
        """Write the metrics when the run ends: of its `summary`, or of the error that ended it."""
        try:
            yield self
        except Exception as error:
            try:
                self.write(as_ours(error).exit_code)
            except BatchdigitsError as problem:  # the run's own error is the one to report
                logger.error("%s", problem)  # noqa: TRY400  # one line, without a traceback
            raise
        self.write(self.summary.exit_code if self.summary else 0)

    def write(self, exit_code: int) -> None:
        """Write the file, whole or not at all. Raises OutputError or IOFailedError."""
        now = time.time()
        values: dict[str, list[tuple[dict[str, str], float]]] = {name: [] for name in METRICS}
        values["run_timestamp_seconds"] = [({}, now)]
        success = now if exit_code == 0 else self._last_success()
        if success is not None:
            values["success_timestamp_seconds"] = [({}, success)]
        values["exit_code"] = [({}, exit_code)]
        values["duration_seconds"] = [({}, now - self._started)]
        if self.summary is not None:
            values |= _of_summary(self.summary)
        run = {"run": os.fsencode(self._path.stem).decode("utf-8", "backslashreplace")}
        lines = [
            line
            for name, series in values.items()
            if series
            for line in _lines(name, [({**run, **labels}, value) for labels, value in series])
        ]
        replace_file(self._path, "".join(f"{line}\n" for line in lines).encode())

    def _last_success(self) -> float | None:
        """The time of the last success, which the file from before has."""
        try:
            text = read_small(self._path, _MOST_BYTES).decode("utf-8", "replace")
        except OSError:
            return None
        series = rf"^{_PREFIX}success_timestamp_seconds{{.*}} ([0-9.]+)$"
        found = re.search(series, text, re.MULTILINE)
        return float(found[1]) if found else None


def _of_summary(summary: RunSummary) -> dict[str, list[tuple[dict[str, str], float]]]:
    statuses = [result.status for result in summary.inputs]
    values: dict[str, list[tuple[dict[str, str], float]]] = {
        "inputs": [({"status": status}, statuses.count(status)) for status in _STATUSES],
        "rows": [
            ({"result": "predicted"}, summary.rows_predicted),
            ({"result": "rejected"}, summary.rows_rejected),
        ],
    }
    if summary.rows_to_review is not None:
        values["rows_to_review"] = [({}, summary.rows_to_review)]
    if summary.drift.value is not None:
        values["drift"] = [({}, summary.drift.value)]
    if summary.bundle is not None:
        labels = {name: str(summary.bundle[name]) for name in ("name", "version")}
        values["bundle_info"] = [(labels, 1)]
    return values


def _lines(name: str, series: list[tuple[dict[str, str], float]]) -> Iterator[str]:
    yield f"# HELP {_PREFIX}{name} {METRICS[name]}"
    yield f"# TYPE {_PREFIX}{name} gauge"
    for labels, value in series:
        pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{_PREFIX}{name}{{{pairs}}} {round(value, 6):.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
