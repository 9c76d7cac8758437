"""The pages say what the code does: every table of docs/reference/ against the code or a run."""

from __future__ import annotations

import argparse
import ast
import csv
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_parsers import parser_of

import batchdigits
from batchdigits import errors
from batchdigits.__main__ import COMMANDS
from batchdigits.archive.classes import MAX_CLASSES
from batchdigits.archive.container import MAX_FILE_BYTES
from batchdigits.archive.keys import create_keys, read_private_key
from batchdigits.archive.signing import write_signature
from batchdigits.files.inputs import expand_inputs
from batchdigits.files.lock import lock_name
from batchdigits.files.names import DATA_SUFFIXES, InputFile, InputFiles, split_name
from batchdigits.files.targets import plan_targets
from batchdigits.monitoring import suspicion
from batchdigits.rows.csv.layout import LINE_LIMIT, RECORD_LIMIT
from batchdigits.rows.parquet.source import LONGEST_CELL
from batchdigits.rows.pixels import LIST_COLUMN, SPELLINGS
from batchdigits.rows.rejects import RAW_LIMIT, REASONS
from batchdigits.scoring import replay as verify
from batchdigits.scoring.decision import CAUSES
from batchdigits.store.choice import packaged_bundle
from batchdigits.store.store import Store
from batchdigits.text import SHOWN_PROBLEMS
from batchdigits.training.networks import NETWORKS
from batchdigits.training.settings import RECIPES, make_settings

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "sample_data"
REFERENCE_PAGES = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs" / "reference").glob("*.md"))
}
REFERENCE = "".join(REFERENCE_PAGES.values())
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    SAMPLE / "README.md",
]

Row = list[str]


def section(title: str, text: str = REFERENCE) -> str:
    """A page of the reference by its name, or the text between a heading and the next one."""
    if text is REFERENCE and title in REFERENCE_PAGES:
        return REFERENCE_PAGES[title]
    _, _, after = re.split(rf"^(#+ {re.escape(title)}\n)", text, maxsplit=1, flags=re.MULTILINE)
    return re.split(r"^#+ ", after, maxsplit=1, flags=re.MULTILINE)[0]


def tables(text: str) -> list[list[Row]]:
    """Every table of a text, each as its rows of cells, the header first."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [cells_of(line) for line in block.splitlines()]
        found.append([rows[0], *rows[2:]])
    return found


def cells_of(line: str) -> Row:
    cells = re.split(r"(?<!\\)\|", line.strip())[1:-1]
    return [cell.strip().replace(r"\|", "|") for cell in cells]


def table(title: str, *header: str, text: str = REFERENCE) -> list[Row]:
    """The rows of the one table of a section whose header begins with these cells."""
    (found,) = (t for t in tables(section(title, text)) if t[0][: len(header)] == list(header))
    return found[1:]


def codes(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def code(cell: str) -> str:
    """The one thing in backticks that a cell begins with."""
    return codes(cell)[0]


# Flags


def parsers_of(command: str) -> Iterator[argparse.ArgumentParser]:
    """The parser of a command and those of its subcommands."""
    top = parser_of(command)
    yield top
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def flags_of(command: str) -> dict[str, argparse.Action]:
    return {
        name: action
        for parser in parsers_of(command)
        for action in parser._actions
        for name in action.option_strings
        if name.startswith("--")
    }


def documented_flags(title: str) -> dict[str, str]:
    """What a section's table of flags says behind each flag: `REF` for `--bundle REF`."""
    usages = [code(row[0]).partition(" ") for row in table(title, "flag")]
    assert len({flag for flag, _, _ in usages}) == len(usages)
    return {flag: value for flag, _, value in usages}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_stands_in_its_table_and_no_other(command: str) -> None:
    flags = flags_of(command)
    documented = documented_flags("Commands") | documented_flags(command)
    assert documented.keys() == flags.keys()
    for flag, value in documented.items():
        action = flags[flag]
        assert bool(value) == (action.nargs != 0), flag
        if action.metavar is not None:
            assert value == action.metavar, flag


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_a_flag_that_does_not_exist(page: Path) -> None:
    """In backticks and before anything else, as a flag of ours is written in prose."""
    known = {"--version"}.union(*(flags_of(command) for command in COMMANDS))
    named = re.findall(r"`(--[a-z][a-z-]*)", page.read_text(encoding="utf-8"))
    assert set(named) <= known


@pytest.mark.parametrize("command", COMMANDS)
def test_defaults_in_the_tables_are_those_of_the_parser(command: str) -> None:
    """Where a default stands in backticks alone, it is the parser's."""
    for row in table(command, "flag"):
        flag, default = code(row[0]).split()[0], row[1 if command != "bundles" else 2]
        if re.fullmatch(r"`[^`]+`", default):
            assert code(default) == str(flags_of(command)[flag].default), flag


def test_the_commands_of_bundles_are_all_there() -> None:
    (top, *_) = parsers_of("bundles")
    (commands,) = (a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    documented = [code(row[0]).split()[0] for row in table("bundles", "command")]
    assert documented == list(commands.choices)


def test_flags_of_bundles_are_laid_to_the_right_commands() -> None:
    (_, *parsers) = parsers_of("bundles")
    by_name = {parser.prog.split()[-1]: parser for parser in parsers}
    for usage, of, *_ in table("bundles", "flag"):
        flag = code(usage).split()[0]
        having = {name for name, one in by_name.items() if flag in one._option_string_actions}
        listed, _, left_out = of.partition(" but ")
        expected = set(by_name) if listed == "all" else set(listed.split(", "))
        assert having == expected - set(left_out.split(", ")), flag


def test_recipes_hold_what_the_table_says() -> None:
    rows = table("train", "recipe")
    assert [row[:2] for row in rows] == [[r, arch] for r in RECIPES for arch in NETWORKS]
    for recipe, arch, *values in rows:
        made = make_settings(arch, recipe, 0, {})
        seen = f"{made.window or 8} {made.noise:g} {made.members} {made.teachers}"
        shape = f"{made.layers} {made.units} {made.dropout:g} {seen}"
        steps = f"{made.optimizer} {made.learning_rate:g} {made.epochs} {made.batch_size}"
        extra = f"{made.copies} {made.calibration_folds}"
        assert values == f"{shape} {steps} {extra}".split()


# Names that are fixed in code


def test_reasons_stand_in_their_order_with_their_texts() -> None:
    rows = [(code(name), text) for name, text in table("Reason codes", "reason")]
    assert rows == list(REASONS.items())


def test_causes_stand_in_their_order_with_their_texts() -> None:
    rows = [(code(name), text) for name, text in table("Decisions", "cause")]
    assert rows == list(CAUSES.items())


def test_exit_codes_are_those_of_the_classes() -> None:
    classes = {cls for _, cls in inspect.getmembers(errors, inspect.isclass)}
    classes -= {errors.BatchdigitsError, errors.InterruptedRunError}
    known = {
        (cls.exit_code, cls.__name__) for cls in classes if issubclass(cls, errors.BatchdigitsError)
    }
    known |= {(errors.InterruptedRunError(n).exit_code, "InterruptedRunError") for n in (2, 15)}
    rows = table("Exit codes", "code")
    assert {(int(number), code(name)) for number, name, _ in rows if name} == known
    assert [int(number) for number, name, _ in rows if not name] == [0, 3, 4]
    assert [int(row[0]) for row in rows] == sorted(int(row[0]) for row in rows)


def test_the_precedence_of_exit_codes_is_the_one_in_the_code() -> None:
    listed = re.search(r"first of these that is present:\s([\d,\s]+)\.", section("Exit codes"))
    assert listed
    assert [int(number) for number in listed[1].split(",")] == list(errors.PRECEDENCE)


def environment_variables() -> set[str]:
    """Every name that the package looks up in, or sets in, `os.environ`."""
    found = set()
    for path in (ROOT / "batchdigits").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Call | ast.Subscript) else ""
            match = re.match(r"os\.(?:environ\.\w+\(|environ\[|getenv\()'(\w+)'", text)
            if match:
                found.add(match[1])
    return found - {"COLUMNS"}  # the shell's own, as every program's help obeys it


def test_environment_variables_are_all_there() -> None:
    documented = {code(row[0]) for row in table("Environment variables", "variable")}
    assert documented == environment_variables()


def test_spellings_of_pixel_columns_are_all_there() -> None:
    documented = [" … ".join(codes(row[0])) for row in table("Pixel columns", "spelling")]
    assert documented == [*(spelling.example for spelling in SPELLINGS), LIST_COLUMN]


def test_suffixes_are_read_as_the_table_says() -> None:
    rows = {row[0]: codes(row[1]) for row in table("Files", "format")}
    assert all(split_name(f"a{suffix}")[1:] == ("csv", None) for suffix in rows["CSV"])
    for kind, compression in (("CSV, gzip", "gz"), ("CSV, Zstandard", "zst")):
        assert rows[kind] == [f".{compression}"]
        assert all(split_name(f"a{s}.{compression}")[1] == "csv" for s in rows["CSV"])
    assert rows["Parquet"] == [".parquet"]
    (folder,) = (row[1] for row in table("Files", "argument") if row[0] == "a folder")
    assert codes(folder) == list(DATA_SUFFIXES)


def test_limits_are_those_of_the_code() -> None:
    limits = {row[0]: row[1] for row in table("Limits", "what")}
    assert list(limits.values()) == [
        f"{LINE_LIMIT >> 20} MiB",
        f"{RECORD_LIMIT >> 10} KiB",
        f"{RAW_LIMIT:,} characters",
        str(SHOWN_PROBLEMS),
        f"{LONGEST_CELL >> 20} MiB on average",
        f"{MAX_FILE_BYTES >> 20} MiB",
        f"2 to {MAX_CLASSES}",
    ]


def test_suspicion_begins_where_the_page_says() -> None:
    text = section("Suspicious inputs")
    assert f"first {suspicion.JUDGED_ROWS:,} rows" in text
    assert f"from {suspicion.ENOUGH_ROWS} rows on" in text


def test_python_calls_take_the_arguments_in_the_table() -> None:
    for call, arguments in table("From Python", "call"):
        target: Any = batchdigits
        for part in code(call).split("."):
            target = getattr(target, part)
        names = [name for name in inspect.signature(target).parameters if name != "self"]
        assert codes(arguments) == names, call


# Names on the disk


def test_outputs_are_named_as_the_table_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name, output, *expected in table("Names", "input"):
        Path(code(name)).write_bytes(b"")
        found = expand_inputs([code(name)])
        (targets,) = plan_targets(found, code(output) if output else None)
        assert [str(path) for path in targets.finals] == [code(cell) for cell in expected]


def test_temporary_names_are_all_there() -> None:
    (targets,) = plan_targets(
        InputFiles((InputFile(Path("forms.csv"), "csv"),), several=False), None
    )
    documented = {
        name for row in table("Files on the disk", "name", "what") for name in codes(row[0])
    }
    names = {targets.commit, *targets.leftovers[:2], lock_name(targets.receipt)}
    assert documented == {str(name) for name in names}


def test_a_store_has_the_paths_in_the_table(tmp_path: Path) -> None:
    store = Store(tmp_path)
    during: list[str] = []

    def build(_version: int) -> bytes:
        during.extend(path.name for path in tmp_path.iterdir())
        return b"a bundle"

    path = store.publish("digits", build)
    store.set_alias("digits", "production", 1)
    key = read_private_key(create_keys(tmp_path, "ops").private)
    write_signature(path, b"a bundle", key)
    documented = [code(row[0]) for row in table("Files on the disk", "path")]
    paths = [path.replace("NAME", "digits").removeprefix("STORE/") for path in documented]
    there = [path for path in paths if (tmp_path / path).is_file()]
    assert there == [path for path in paths if not path.endswith((".tmp", ".lock"))]
    assert [path for path in paths if path.endswith(".lock")] == [
        name for name in during if name.endswith(".lock")
    ]


# What a run writes


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"batchdigits.{arguments[0]}", *map(str, arguments[1:])]
    ours = {name for name in os.environ if name.startswith("BATCHDIGITS_")}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the bad sample was scored to Parquet, its summary in summary.json."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copy(SAMPLE / "bad.csv", folder)
    ran = run("predict", "bad.csv", "--output", "out.parquet", "--probabilities", cwd=folder)
    assert ran.returncode == 3, ran.stderr
    (folder / "summary.json").write_text(ran.stdout, encoding="utf-8")
    return folder


def read_json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def fields_of(
    record: dict[str, Any], leaves: set[str], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a record's fields; a list of records counts by its first.

    `leaves` are objects whose keys are data, or are told in words.
    """
    for name, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield prefix + name, value
            yield from fields_of(value[0], leaves, f"{prefix}{name}[].")
        elif isinstance(value, dict) and name not in leaves:
            yield prefix + name, value
            yield from fields_of(value, leaves, f"{prefix}{name}.")
        else:
            yield prefix + name, value


JSON_TYPES: dict[str, Any] = {
    "text": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "list": list,
    "null": type(None),
    "any": object,
}


def check_fields(rows: list[Row], record: dict[str, Any], *leaves: str) -> None:
    """Every field is in the table in its place and with its type, and no other is."""
    written = dict(fields_of(record, {"reasons", *leaves}))
    documented = {code(row[0]): row[1] for row in rows}
    parents = {name.rpartition(".")[0].removesuffix("[]") for name in documented}
    assert list(documented) == [n for n in written if n in documented or n not in parents]
    for name, words in documented.items():
        types = [JSON_TYPES[word] for word in words.split(" or ")]
        assert any(isinstance(written[name], kind) for kind in types), name


def test_every_field_of_the_summary_stands_in_its_table(folder: Path) -> None:
    check_fields(table("Summary", "field"), read_json(folder / "summary.json"))


def test_every_field_of_the_receipt_stands_in_its_table(folder: Path) -> None:
    check_fields(table("Receipt", "field"), read_json(folder / "out.receipt.json"), "counts")


def types_of(path: Path) -> dict[str, str]:
    return {field.name: str(field.type) for field in pq.read_schema(path)}


def test_rejects_have_the_columns_in_the_table(folder: Path) -> None:
    documented = {code(row[0]): code(row[1]) for row in table("Rejects", "column")[1:]}
    written = list(types_of(folder / "out.rejects.parquet").items())
    assert list(documented.items()) == written[-len(documented) :]
    assert dict(written).keys() - documented == {"form_id", "field", "position", "label"}


def test_predictions_have_the_columns_in_the_table(folder: Path) -> None:
    rows = table("Predictions", "column", "Parquet type")[1:]
    documented = {code(row[0]): codes(row[1]) for row in rows}
    types = types_of(folder / "out.parquet")
    assert list(types)[4:6] == list(documented)[:2]
    assert types["prediction"] in documented["prediction"]
    assert [types["confidence"]] == documented["confidence"]
    assert {types[f"proba_{digit}"] for digit in range(10)} == set(documented["proba_CLASS"])


def test_reserved_names_are_those_of_the_output_columns() -> None:
    rows = table("Other columns", "reserved")
    reserved = [name for row in rows for name in codes(row[0]) if not name.startswith("--")]
    columns = [row for title in ("Predictions", "Rejects") for row in table(title, "column")[1:]]
    assert sorted(reserved) == sorted(code(row[0]) for row in columns)


def test_pixel_cells_are_read_as_the_table_says(tmp_path: Path) -> None:
    rows = table("Pixels", "cell")
    cells = ["" if row[0] == "(empty)" else code(row[0]).replace("·", " ") for row in rows]
    lines = [",".join(f"pixel_{i}" for i in range(64))]
    lines += [",".join([cell, *["0"] * 62, "1"]) for cell in cells]
    path = tmp_path / "cells.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    summary = batchdigits.score(path)
    assert summary.rows_in == len(rows)
    with (tmp_path / "cells.rejects.csv").open(encoding="utf-8", newline="") as file:
        reasons = {int(reject["row"]): reject["reason"] for reject in csv.DictReader(file)}
    expected = {n: code(row[1]) for n, row in enumerate(rows, start=1) if "`" in row[1]}
    assert reasons == expected


def test_spelt_out_missing_values_are_missing(tmp_path: Path) -> None:
    """The words that the table lists beside NA, in both cases of letters."""
    (row,) = (row for row in table("Pixels", "cell") if row[0] == "`NA`")
    words = [word for word in codes(row[1]) if word != "missing"]
    assert len(words) > 5
    lines = [",".join(f"pixel_{i}" for i in range(64)), ",".join(["5"] * 64)]
    lines += [",".join([word, *["0"] * 63]) for w in words for word in (w.lower(), w.upper())]
    path = tmp_path / "words.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert batchdigits.score(path).reasons == {"missing": 2 * len(words)}


def test_receipts_json_has_the_fields_in_the_table(folder: Path) -> None:
    ran = run("receipts", "verify", "out.receipt.json", "--json", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    check_fields(table("receipts", "field of `--json`"), json.loads(ran.stdout), "bundle")
    assert f" {verify.TOLERANCE:f}. " in section("receipts")


def test_minus_zero_in_a_float_column_is_zero(tmp_path: Path) -> None:
    columns = {f"pixel_{i}": pa.array([-0.0, 0.0]) for i in range(64)}
    pq.write_table(pa.table(columns), tmp_path / "zeros.parquet")
    assert batchdigits.score(tmp_path / "zeros.parquet").rows_predicted == 2
    scored = pq.read_table(tmp_path / "zeros.predictions.parquet")
    assert len(scored.group_by(["prediction", "confidence"]).aggregate([])) == 1


def test_bundles_json_has_the_fields_in_the_table(tmp_path: Path) -> None:
    (tmp_path / "store" / "digits").mkdir(parents=True)
    version = batchdigits.open_bundle().manifest.version
    name = f"digits@{version}"
    shutil.copy(packaged_bundle(), Store(tmp_path / "store").path("digits", version))
    Store(tmp_path / "store").set_alias("digits", "production", version)
    given = {
        "list": [],
        "diff": [name, "digits", "--data", str(SAMPLE / "digits.parquet")],
        "history": ["digits"],
        "prune": ["digits", "--keep", "1"],
        "export": [name, "--onnx", "digits.onnx"],
    }
    for what, fields in table("bundles", "`--json` of"):
        arguments = given.get(what, [name])
        ran = run("bundles", what, *arguments, "--store", "store", "--json", cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        assert list(json.loads(ran.stdout)) == codes(fields), what


def test_evaluate_prints_the_fields_in_the_table(tmp_path: Path) -> None:
    """A wrong label makes every list hold something."""
    rows = pq.read_table(SAMPLE / "digits.parquet")
    at, labels = rows.schema.names.index("label"), rows["label"].to_pylist()
    wrong = pa.array([(labels[0] + 1) % 10, *labels[1:]], rows["label"].type)
    pq.write_table(rows.set_column(at, "label", wrong), tmp_path / "rows.parquet")
    flags = ("--by", "form_id", "--review-below", "0.9")
    ran = run("evaluate", "rows.parquet", *flags, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    check_fields(table("evaluate", "field"), json.loads(ran.stdout), "bundle", "group", "causes")


@pytest.mark.slow
def test_train_prints_the_fields_in_the_table(tmp_path: Path) -> None:
    ran = run("train", "--epochs", "1", "--copies", "0", "--output", "one.bundle", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    check_fields(table("train", "field"), json.loads(ran.stdout))


# The other pages


def test_the_faults_of_the_bad_sample_get_what_its_page_says(folder: Path) -> None:
    text = (SAMPLE / "README.md").read_text(encoding="utf-8")
    rows = table("What is wrong with bad.csv", "line", "row", text=text)
    documented = [
        (int(line), int(row), code(reason), *(code(cell) if cell else None for cell in cells))
        for line, row, _, reason, *cells in rows
    ]
    written = pq.read_table(folder / "out.rejects.parquet").to_pylist()
    names = ("line", "row", "reason", "column", "value")
    # An empty cell is nothing in the table and an empty text in the rejects.
    assert documented == [tuple(row[name] or None for name in names) for row in written]


def test_the_samples_have_the_rows_that_their_page_says(folder: Path) -> None:
    text = (SAMPLE / "README.md").read_text(encoding="utf-8")
    found = table("Sample data", "file", text=text)
    rows = {code(name): int(count.replace(",", "")) for name, count, *_ in found}
    tracked = {path.name for path in SAMPLE.iterdir()} - _outputs()
    assert rows.keys() == {name for name in tracked if name.endswith(DATA_SUFFIXES)}
    assert rows["digits.parquet"] == pq.read_metadata(SAMPLE / "digits.parquet").num_rows
    assert rows["bad.csv"] == read_json(folder / "summary.json")["rows_in"]
    assert rows["digits-uci.csv"] == len((SAMPLE / "digits-uci.csv").read_text().splitlines())
    assert rows["digits.csv"] == len((SAMPLE / "digits.csv").read_text().splitlines()) - 1


def _outputs() -> set[str]:
    """What somebody who followed the README left there."""
    patterns = ("*.predictions.*", "*.rejects.*", "*.receipt.json")
    return {path.name for pattern in patterns for path in SAMPLE.glob(pattern)}


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    """To files of the repository, and to headings where they name one."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        assert not anchor or anchor in anchors_of(path), link


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda page: page.stem
)
def test_decisions_are_dated_and_short(page: Path) -> None:
    date = re.match(r"(\d{4}-\d\d-\d\d)-[a-z0-9-]+$", page.stem)
    assert date, "a name such as 2026-01-31-what-it-is-about.md"
    text = page.read_text(encoding="utf-8")
    assert f"Decided {date[1]}." in text
    assert len(text.splitlines()) <= 40
