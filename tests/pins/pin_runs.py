"""Runs of the commands in folders of their own, and what is kept of them.

Two things are kept of a run. Values: its exit code, its JSON and its tables, with times, versions
and prose masked. Bytes: the SHA-256 of each file it wrote, of JSON files and standard output
without their times. Values hold on every processor within 1e-4, bytes on one kind of processor.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pin_tables import is_table, table_facts

DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}")
TIMES = frozenset(
    {"seconds", "fit_seconds", "rows_per_second", "started", "finished", "created", "at"}
)
LONGEST_TEXT = 120
LONG_ENOUGH = 500
SAME_AS = "same as"
PROSE = frozenset(
    {"error", "suspicion", "description", "problems", "takes", "gives", "fitted_on", "measured_on"}
)


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def stderr_lines(self) -> int:
        return len(self.stderr.splitlines())

    def stderr_told(self, command: str) -> int | str:
        """How many lines standard error has; of tables, which are for people, only that there are.

        A run that ends with 0 or 3 has been told as a table by evaluate and train.
        """
        is_table = command in ("evaluate", "train") and self.code in (0, 3) and self.stderr
        return "a table" if is_table else self.stderr_lines

    @property
    def json_lines(self) -> list[Any] | None:
        """Standard output as objects of JSON, one a line; None if it is anything else."""
        try:
            found = [json.loads(line) for line in self.stdout.splitlines()]
        except ValueError:
            return None
        return found if all(isinstance(one, dict) for one in found) else None

    @property
    def stdout_kind(self) -> str:
        if not self.stdout:
            return "nothing"
        return "text" if self.json_lines is None else "JSON"


@dataclass
class Pins:
    """What is kept of a section: a value a case, a digest a file."""

    values: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)

    def keep(self, case: str, value: Any) -> None:
        """Keep a value; one that is as long as a table and was kept before by its case's name."""
        if case in self.values:
            raise ValueError(f"two cases are called {case}")
        kept = rounded(value)
        text = json.dumps(kept)
        if text in self.seen and len(text) > LONG_ENOUGH:
            kept = {SAME_AS: self.seen[text]}
        self.seen.setdefault(text, case)
        self.values[case] = kept

    def keep_bytes(self, case: str, name: str, data: bytes) -> None:
        self.digests[f"{case} {name}"] = hashlib.sha256(data).hexdigest()


def run_here(*argv: str) -> Ran:
    """Run a command's main in this process: `run_here("predict", "forms.csv")`."""
    from batchdigits.__main__ import main

    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            code = main(list(argv))
        except SystemExit as end:  # argparse ends --help this way
            code = int(end.code or 0)
    return Ran(code, stdout.getvalue(), stderr.getvalue())


def run_process(*argv: str, stdin: bytes = b"", stdout: Any = subprocess.PIPE) -> Ran:
    """Run `python -m batchdigits.COMMAND` as a process of its own."""
    command = [sys.executable, "-m", f"batchdigits.{argv[0]}", *argv[1:]]
    done = subprocess.run(
        command, input=stdin, stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=120
    )
    return Ran(done.returncode, (done.stdout or b"").decode(), done.stderr.decode())


def forget_settings() -> None:
    """No variable from outside decides what a command does."""
    for name in [name for name in os.environ if name.startswith("BATCHDIGITS_")]:
        del os.environ[name]


@contextlib.contextmanager
def own_folder(name: str, files: Sequence[Path] = ()) -> Iterator[Path]:
    """A new folder of that name to work in, with copies of these files."""
    before = Path.cwd()
    folder = before / name
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder / file.name)
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)


@contextlib.contextmanager
def not_installed(*packages: str) -> Iterator[None]:
    """As if these packages were not there."""
    kept = {name: sys.modules.get(name) for name in packages}
    sys.modules.update(dict.fromkeys(packages))  # type: ignore[arg-type]  # None stops an import
    try:
        yield
    finally:
        for name, module in kept.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


Snapshot = dict[str, tuple[int, int]]


def snapshot() -> Snapshot:
    """Size and time of every file and folder below this one, hidden ones too."""
    found = {}
    for path in sorted(Path().rglob("*")):
        at = path.lstat()
        found[str(path)] = (0, 0) if path.is_dir() else (at.st_size, at.st_mtime_ns)
    return found


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """Names that are new, changed or, with a minus in front, gone."""
    gone = [f"-{name}" for name in before if name not in after]
    return sorted(gone + [name for name, state in after.items() if before.get(name) != state])


def labels_of(folder: Path) -> dict[str, str]:
    """Which file each digest is that of, for every file below the folder."""
    found = {}
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[digest] = str(path.relative_to(folder))
    return found


def masked(value: Any, labels: dict[str, str], key: str = "", folder: Path | None = None) -> Any:
    """JSON without times, versions, prose and digests; key order stays.

    A digest becomes the name of the file that it is that of, so a wrong one shows.
    """
    if isinstance(value, dict):
        facts = {name: masked(one, labels, name, folder) for name, one in value.items()}
        _mask_dictionary(key, facts, folder)
        return facts
    if isinstance(value, list):
        return [masked(one, labels, key, folder) for one in value]
    if value is not None and key in TIMES:
        return "<time>"
    return _masked_text(value, labels, key) if isinstance(value, str) else value


def _mask_dictionary(key: str, facts: dict[str, Any], folder: Path | None) -> None:
    if key == "libraries":
        facts.update(dict.fromkeys(facts, "<version>"))
    if "bytes" in facts and folder is not None:
        name = Path(facts["path"]).name
        sizes = {path.stat().st_size for path in folder.rglob(name)}
        facts["bytes"] = f"<size of {name}>" if facts["bytes"] in sizes else "<another size>"
    if set(facts) == {"sha256", "size"}:
        facts.update(sha256="<digest>", size="<size>")


def _masked_text(text: str, labels: dict[str, str], key: str) -> str:
    if key in PROSE:
        return "<text>"
    if key == "batchdigits":
        return "<version>"
    if key == "by":
        return "<user>"
    if DIGEST.fullmatch(text):
        return f"<digest of {labels.get(text.removeprefix('sha256:'), 'something else')}>"
    if text.startswith("/"):
        return f"<somewhere>/{Path(text).name}"
    return text


def rounded(value: Any) -> Any:
    """Floats with six decimals, long text by its beginning, length and digest."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        digest = hashlib.sha256(value.encode()).hexdigest()[:12]
        return f"{value[:24]}… ({len(value)} characters, sha256 {digest}…)"
    return value


def stdout_facts(ran: Ran, labels: dict[str, str], folder: Path) -> Any:
    """JSON as values, text as no more than that there is some."""
    found = ran.json_lines
    if not ran.stdout or found is None:
        return ran.stdout_kind
    return [masked(one, labels, folder=folder) for one in found]


def keep_run(pins: Pins, case: str, argv: Sequence[str], ran: Ran, written: list[str]) -> None:
    """Keep a run in this folder: its code, its JSON, and which files it touched."""
    folder = Path.cwd()
    labels = labels_of(folder) | packaged_label()
    told = stdout_facts(ran, labels, folder)
    pins.keep(
        case,
        {
            "argv": list(argv),
            "code": ran.code,
            "stdout": told,
            "stderr_lines": ran.stderr_told(argv[0] if argv else ""),
            "written": written,
        },
    )
    if isinstance(told, list):
        pins.keep_bytes(case, "stdout", json.dumps(told).encode())


def keep_files(pins: Pins, case: str, names: Sequence[str]) -> dict[str, Any]:
    """What the written files hold, by name; their bytes are kept at once."""
    folder = Path.cwd()
    labels = labels_of(folder) | packaged_label()
    found: dict[str, Any] = {}
    for name in names:
        path, data = folder / name, (folder / name).read_bytes()
        if name.endswith(".json"):
            found[name] = masked(json.loads(data), labels, folder=folder)
            data = json.dumps(found[name]).encode()
        elif is_table(name):
            found[name] = table_facts(path)
        else:
            found[name] = "a file"
        pins.keep_bytes(case, name, data)
    return found


_packaged: list[Path] = []


def packaged_bundle() -> Path:
    """The bundle inside the package, as `bundles show` names it."""
    if not _packaged:
        ran = run_here("bundles", "show", "--json")
        _packaged.append(Path(json.loads(ran.stdout)["path"]))
    return _packaged[0]


def packaged_label() -> dict[str, str]:
    data = packaged_bundle().read_bytes()
    return {hashlib.sha256(data).hexdigest(): "the packaged bundle"}


def record_steps(pins: Pins, case: str, steps: Sequence[Sequence[str]]) -> None:
    """Run commands one after the other in this folder; each is a case, and so is what they wrote.

    A file that a later step removes or changes is kept as the step left it that wrote it.
    """
    before = snapshot()
    for number, argv in enumerate(steps, 1):
        ran = run_here(*argv)
        after = snapshot()
        written = changes(before, after)
        name = f"{case}/{number}" if len(steps) > 1 else case
        keep_run(pins, name, argv, ran, written)
        before = after
        files = [one for one in written if Path(one).is_file() and is_output(one)]
        for file, facts in keep_files(pins, name, files).items():
            pins.keep(f"{name}/{file}", facts)


def is_output(name: str) -> bool:
    """Whether a file's content is worth keeping as a value: tables and documents."""
    return is_table(name) or name.endswith((".json", ".onnx", ".keras"))
