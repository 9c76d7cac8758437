"""All commands: one line an error, the right exit code, progress on terminals only."""

import argparse
import contextlib
import gc
import json
import logging
import os
import pty
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paths import ROOT

from batchdigits.cli import boundary
from batchdigits.cli.boundary import COLLECTED_OBJECTS, run_command
from batchdigits.cli.flags import add_common_options, add_row_options, make_parser
from batchdigits.cli.terminal import _fitted, print_json, print_result, print_text
from batchdigits.errors import (
    BatchdigitsError,
    BundleError,
    InternalError,
    InterruptedRunError,
    IOFailedError,
    MissingExtraError,
    NoInputError,
    OutputError,
    TryAgainError,
    UnusableInputError,
    UsageError,
)
from batchdigits.text import table


def run(error: BaseException | None, *flags: str) -> int:
    parser = make_parser("probe", "A probe.", ["probe"])
    add_common_options(parser)

    def body(_arguments: argparse.Namespace) -> int:
        if error is not None:
            raise error
        return 0

    return run_command(parser, body, flags)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (UnusableInputError("x"), 65),
        (NoInputError("x"), 66),
        (MissingExtraError("x"), 69),
        (InternalError("x"), 70),
        (OutputError("x"), 73),
        (IOFailedError("x"), 74),
        (TryAgainError("x"), 75),
        (BundleError("x"), 78),
        (InterruptedRunError(15), 143),
        (InterruptedRunError(2), 130),
        (OSError(28, "No space left on device", "out.csv"), 74),
        (MemoryError(), 70),
        (ZeroDivisionError("surprise"), 70),
        (BatchdigitsError("x"), 70),
    ],
)
def test_every_failure_is_one_line_and_its_exit_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(error) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("batchdigits.probe: error: ")
    assert err.count("\n") == 1


def test_a_message_with_line_breaks_is_folded(capsys: pytest.CaptureFixture[str]) -> None:
    """A file name may hold a line break; a log line must not."""
    run(NoInputError("a\nb.csv: no such file"))
    assert capsys.readouterr().err == "batchdigits.probe: error: a b.csv: no such file\n"


def test_json_messages_are_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    run(NoInputError("é"), "--log-format", "json")
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["message"]) == ("error", "é")


def test_a_result_reaches_a_terminal_that_lacks_its_characters() -> None:
    """An ASCII terminal, or a file name that is not UTF-8, must not cost the summary line."""
    code = (
        "from batchdigits.cli.terminal import print_json, print_result\n"
        "import sys; sys.stdout.reconfigure(errors='backslashreplace')\n"
        "print_json({'input': 'ü\\udcff.csv'})\nprint_result('ü')"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert json.loads(lines[0]) == {"input": "ü\udcff.csv"}
    assert lines[1] == "\\xfc"


def test_a_message_reaches_a_terminal_that_lacks_its_characters(tmp_path: Path) -> None:
    """It is not lost where Python was told to be strict about standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "batchdigits.predict", "fehlt-ü.csv"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii:strict"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 66
    assert "fehlt-\\xfc.csv" in done.stderr


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    run(ZeroDivisionError("surprise"), "--debug")
    assert "in body" in capsys.readouterr().err


def test_progress_is_drawn_on_a_terminal(tmp_path: Path) -> None:
    """A terminal gets a bar with rows, rate, time left and file, which is cleared at the end."""
    main_end, child_end = pty.openpty()
    code = (
        "import sys, time; from batchdigits.cli.terminal import Progress; Progress.INTERVAL = 0\n"
        "progress = Progress(); time.sleep(0.01); progress(5_000, 0.5, 'in/a\\x1b.csv')\n"
        "progress(7, None, 'in/b.csv'); progress.finish()"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=child_end) as process:
        process.wait(timeout=60)
    os.close(child_end)
    drawn = os.read(main_end, 10_000).decode()
    os.close(main_end)
    assert "50%" in drawn
    assert "5,000 rows" in drawn
    assert "rows/s" in drawn
    assert "left" in drawn
    assert r"left  a\x1b.csv" in drawn
    assert "rows/s  b.csv" in drawn
    assert drawn.endswith("\r\x1b[K")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("short.csv", "10 rows  short.csv"),
        ("forms-of-all-branches-2026-11-28.csv", "10 rows  …ches-2026-11-28.csv"),
        ("ziffern-für-die-nacht-2026-11-28.csv", "10 rows  …11-28.csv"),
    ],
)
def test_the_status_line_keeps_the_end_of_a_name(name: str, shown: str) -> None:
    """Names of one delivery differ there. A letter beyond ASCII may take two columns."""
    assert _fitted("10 rows", name, 30) == shown
    assert _fitted("10 rows", name, 8) == "10 rows"[:8]


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.csv\r\n\x00\x7f\u2028"


def test_no_way_out_lets_a_terminal_obey(capsys: pytest.CaptureFixture[str]) -> None:
    """Errors, warnings, tables, results, progress: what comes from outside is shown as escapes."""
    parser = make_parser("probe", "A probe.", ["probe"])
    add_common_options(parser)

    def body(_arguments: argparse.Namespace) -> int:
        logging.getLogger("batchdigits").warning("%s: odd", HOSTILE)
        logging.getLogger("batchdigits").info("%s", table([["NAME"], [HOSTILE]]))
        print_result(f"ok {HOSTILE}")
        print_text(table([["NAME"], [HOSTILE]]))
        raise NoInputError(f"{HOSTILE}: no such file")

    assert run_command(parser, body, ()) == 66
    out, err = capsys.readouterr()
    for text, lines in ((out, 3), (err, 4)):
        assert text.count("\n") == lines
        assert text.replace("\n", "").isprintable()
        assert r"\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.csv" in text
    assert run_command(parser, lambda _: 0, [HOSTILE]) == 2
    assert capsys.readouterr().err.replace("\n", "").isprintable()


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    """It has escapes of its own, and gives back what went in."""
    print_json({"name": HOSTILE})
    run(NoInputError(HOSTILE.replace("\r\n", "").replace("\u2028", "")), "--log-format", "json")
    out, err = capsys.readouterr()
    assert json.loads(out)["name"] == HOSTILE
    assert "\x1b]0;owned" in json.loads(err)["message"]
    assert out.strip().isprintable()
    assert err.strip().isprintable()


def test_a_traceback_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    run(ZeroDivisionError(HOSTILE), "--debug")
    err = capsys.readouterr().err
    assert err.count("\n") > 3
    assert err.replace("\n", "").isprintable()


def test_warnings_of_libraries_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever filters a library sets: they name lines of source, and cron mails them."""
    parser = make_parser("probe", "A probe.", ["probe"])
    add_common_options(parser)

    def body(_arguments: argparse.Namespace) -> int:
        warnings.warn("first", RuntimeWarning, stacklevel=1)
        warnings.simplefilter("always")
        np.float32(1e30) * np.float32(1e30)
        return 0

    shown: list[str] = []
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: shown.append(str(message))  # type: ignore[assignment]
        assert run_command(parser, body, ()) == 0
        warnings.warn("after", RuntimeWarning, stacklevel=1)
    assert capsys.readouterr() == ("", "")
    assert shown == ["after"], "a program that imports the package keeps its own"


INTERRUPTING = """
import importlib.abc, os, signal, sys

class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == os.environ["INTERRUPTED_AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
"""


def interrupted(folder: Path, at: str, *command: str) -> subprocess.CompletedProcess[str]:
    """A Python that gets SIGINT when it begins to import the module `at`."""
    (folder / "sitecustomize.py").write_text(INTERRUPTING, encoding="utf-8")
    environment = {"PYTHONPATH": f"{folder}:{ROOT}", "INTERRUPTED_AT": at}
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("at", ["batchdigits.api", "numpy", "pyarrow"])
def test_an_early_interrupt_is_one_line(tmp_path: Path, at: str) -> None:
    """The signal comes while the command is imported."""
    sample = str(ROOT / "sample_data" / "digits.csv")
    words = ("-m", "batchdigits.predict", sample, "--output", str(tmp_path / "out.csv"))
    ran = interrupted(tmp_path, at, *words)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (130, "", 1)
    assert "interrupted by signal 2" in ran.stderr
    assert not (tmp_path / "out.csv").exists()


def test_an_interrupt_at_exit_does_not_change_the_code(tmp_path: Path) -> None:
    """The command is done by then, and keeps its exit code."""
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os, signal\natexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "batchdigits.bundles", "list", "--store", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0
    assert "nothing was done" not in ran.stderr


@pytest.mark.parametrize(("typed", "meant"), [("\\t", "\t"), ("\t", "\t"), (";", ";"), ("t", "t")])
def test_a_tab_can_be_typed_as_a_delimiter(typed: str, meant: str) -> None:
    parser = argparse.ArgumentParser()
    add_row_options(parser.add_argument_group())
    assert parser.parse_args(["--delimiter", typed]).delimiter == meant


def test_other_programs_keep_their_keyboard_interrupt(tmp_path: Path) -> None:
    """A program that imports the package gets KeyboardInterrupt as usual."""
    script = "try: import batchdigits.api\nexcept KeyboardInterrupt: print('theirs')"
    assert interrupted(tmp_path, "batchdigits.api", "-c", script).stdout == "theirs\n"


def test_libraries_that_abort_at_exit_do_not_change_the_code(tmp_path: Path) -> None:
    """Threads of C++ libraries can abort a process that is being taken down."""
    (tmp_path / "sitecustomize.py").write_text("import atexit, os\natexit.register(os.abort)\n")
    done = subprocess.run(
        [sys.executable, "-m", "batchdigits", "bundles", "list", "--store", tmp_path],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "no bundles" in done.stderr


@pytest.mark.parametrize("command", ["predict", "train", "evaluate", "receipts"])
def test_help_imports_next_to_nothing_besides_argparse(command: str) -> None:
    """It answers at once: no framework, and none of the slower modules of Python either."""
    script = (
        "import sys\n"
        f"from batchdigits.{command} import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    modules = set(done.stderr.split())
    slow = {"fractions", "tempfile", "json", "logging", "typing", "dataclasses", "pathlib"}
    if command == "receipts":
        slow -= {"logging", "typing", "pathlib"}
    assert not modules & {"numpy", "pyarrow", "onnxruntime", *slow}


def test_a_signal_that_nobody_can_catch_is_not_printed_and_still_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other exceptions in finalizers are printed as Python prints them."""
    printed: list[type[BaseException]] = []

    def hook(lost: Any) -> None:
        printed.append(lost.exc_type)

    monkeypatch.setattr(sys, "unraisablehook", hook)

    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    class Broken:
        def __del__(self) -> None:
            raise ValueError

    def body(_arguments: argparse.Namespace) -> int:
        Finalized()
        Broken()
        return 0

    parser = make_parser("probe", "A probe.", ["probe"])
    add_common_options(parser)
    assert run_command(parser, body, []) == 143
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert printed == [ValueError]
    assert sys.unraisablehook is hook


def test_a_signal_while_a_thread_is_started_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The thread finds that it is not registered: a KeyError that nobody can catch."""
    printed: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    start_new = threading._start_new_thread  # type: ignore[attr-defined]

    def start(function: Any, args: Any) -> Any:
        started = start_new(lambda *given: (time.sleep(0.05), function(*given)), args)
        os.kill(os.getpid(), signal.SIGTERM)
        return started

    def body(_arguments: argparse.Namespace) -> int:
        monkeypatch.setattr(threading, "_start_new_thread", start)
        try:
            threading.Thread(target=int).start()
        finally:
            time.sleep(0.2)
        return 0

    parser = make_parser("probe", "A probe.", ["probe"])
    add_common_options(parser)
    assert run_command(parser, body, []) == 143
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert printed == []


def test_a_signal_behind_the_end_of_a_command_does_not_change_its_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its result is printed by then: while handlers and settings are put back."""

    @contextlib.contextmanager
    def late() -> Iterator[None]:
        yield
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(boundary, "fewer_collections", late)
    assert run(None) == 0


def test_a_command_collects_garbage_less_often_and_leaves_its_callers_setting() -> None:
    """A program that calls `main` has a setting of its own."""
    during: list[tuple[int, ...]] = []

    def body(_arguments: argparse.Namespace) -> int:
        during.append(gc.get_threshold())
        return 0

    parser = make_parser("probe", "A probe.", ["probe"])
    add_common_options(parser)
    before = gc.get_threshold()
    assert run_command(parser, body, []) == 0
    assert (during[0][0], gc.get_threshold()) == (COLLECTED_OBJECTS, before)
