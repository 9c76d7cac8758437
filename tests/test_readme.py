"""The README's commands, example and figures are true."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_parsers import parser_of
from pages import PAGES, name_of
from paths import ROOT, SAMPLE_DATA

from batchdigits.__main__ import COMMANDS

README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = README.splitlines()

IMAGES = """
import pyarrow.parquet as pq, numpy as np
table = pq.read_table("forms.parquet")
images = np.column_stack([table[f"pixel_{i}"] for i in range(64)])
"""


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shell_lines(text: str) -> Iterator[str]:
    """Commands in fenced blocks, in indented ones and in backticks within the text."""
    for block in blocks("bash", text):
        yield from block.replace("\\\n", " ").splitlines()
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"^ {4}(\S.*)$", re.sub(r"\\\n\s*", " ", prose), re.MULTILINE)
    for spoken in re.findall(r"`([^`]+)`", prose):
        yield " ".join(spoken.split())


def our_commands(line: str) -> Iterator[tuple[str, list[str]]]:
    """Each of our commands in a line of shell with its arguments, unless it has a placeholder."""
    for part in re.split(r"&&|\|\|?|;", line):
        found = re.search(r"(?:-m batchdigits\.|^\s*batchdigits )(\w+)(?: (.*))?$", part)
        if found and "…" not in part and not re.search(r"\b[A-Z]{3,}\b", part):
            yield found[1], shlex.split((found[2] or "").partition(">")[0])


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a copy of the sample data as they are in the repository."""
    outputs = shutil.ignore_patterns("*.predictions.*", "*.rejects.*", "*.receipt.json")
    shutil.copytree(SAMPLE_DATA, tmp_path / "sample_data", ignore=outputs)
    return tmp_path


def test_it_is_short() -> None:
    assert len(LINES) <= 150


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_on_every_page_is_one_we_have(page: Path) -> None:
    """Commands and flags exist and take the values given; a bare name is only a name."""
    for line in shell_lines(page.read_text(encoding="utf-8")):
        for name, arguments in our_commands(line):
            parser = parser_of(name)
            if arguments:
                parser.parse_args(arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_in_the_help_are_commands_we_have(command: str) -> None:
    parser = parser_of(command)
    examples = [found for line in parser.epilog.splitlines() for found in our_commands(line)]
    assert len(examples) == len(parser.epilog.splitlines()) - 1
    for name, arguments in examples:
        assert name == command
        parser.parse_args(arguments)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_runs_what_others_deliver(page: Path) -> None:
    """`python -m` looks for modules in the current folder first; the console script does not."""
    if "decisions" not in page.parts:
        assert "python -m batchdigits" not in page.read_text(encoding="utf-8")


def test_the_commands_in_the_readme_are_found() -> None:
    """Otherwise the two tests above would check nothing."""
    found = [name for line in shell_lines(README) for name, _ in our_commands(line)]
    assert found.count("predict") >= 3
    assert {"train", "bundles"} <= set(found)


def test_extras_that_are_named_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"(?:batchdigits|'\.)\[([a-z]+)\]", text)
        assert set(named) <= project["optional-dependencies"].keys(), page


@pytest.mark.parametrize("mark", ["run", "test"])
def test_a_fresh_checkout_finds_its_commands(mark: str) -> None:
    """One marker each, followed at once by one fenced block of shell."""
    places = [n for n, line in enumerate(LINES) if line == f"<!-- fresh: {mark} -->"]
    assert len(places) == 1
    assert LINES[places[0] + 1] == "```bash"
    assert LINES.index("```", places[0]) > places[0] + 2
    assert README.count("<!-- fresh:") == 2


def fresh_command(mark: str) -> str:
    after = README.split(f"<!-- fresh: {mark} -->\n", 1)[1]
    return blocks("bash", after)[0]


def test_the_run_command_gives_what_the_readme_shows(checkout: Path) -> None:
    """Its last part, on a copy of the sample data; the README's JSON line has true figures."""
    words = shlex.split(fresh_command("run").rpartition("&&")[2])
    assert words[:2] == ["batchdigits", "predict"]
    ran = run(["-m", *words], checkout)
    assert (ran.returncode, ran.stderr) == (0, "")
    summary = json.loads(ran.stdout)
    (shown,) = re.findall(r'^(\{"exit_code".*\})$', README, re.MULTILINE)
    pairs = re.findall(r'"(\w+)": (\d+)(?=[,}])', shown)
    assert {"exit_code", "rows_in", "rows_predicted"} <= {name for name, _ in pairs}
    assert {name: summary[name] for name, _ in pairs} == {n: int(value) for n, value in pairs}
    assert f"{summary['rows_in']:,} real digits" in README
    written = [summary["inputs"][0][name] for name in ("output", "receipt")]
    assert all((checkout / path).is_file() for path in written)
    assert f"`{written[0]}`" in README


def test_the_first_figures_are_those_of_the_benchmark() -> None:
    """In the first screen, with the command that made them and its date."""
    saved = json.loads((ROOT / "benchmarks" / "results" / "end_to_end.json").read_text("utf-8"))
    (figures,) = (item for item in README.split("\n- ") if item.startswith("**Fast.**"))
    text = " ".join(figures.split())
    ratios = [compared["ratio"]["median"] for compared in saved["compared"].values()]
    memory = [saved["peak_mb"][name]["median"] for name in ("batchdigits", "script, batch 8192")]
    expert = json.loads((ROOT / "benchmarks" / "results" / "expert.json").read_text("utf-8"))
    over_expert = expert["faster"]["batchdigits"]["ratio"]["median"]
    assert f"{ratios[0]:.1f} times as fast as the script" in text
    assert f"{over_expert:.1f} times as fast as an expert's" in text
    assert f"{ratios[1]:.0f} times as fast as the same script" in text
    assert [round(number, -1) for number in memory] == [
        int(number.replace(",", "")) for number in re.findall(r"([\d,]+) MB", text)
    ]
    assert f"{saved['rows']:,} rows" in text
    assert f"`python benchmarks/{saved['benchmark']}.py`, {saved['date']}" in text
    assert LINES.index("## Try it") <= 40


def test_the_bad_sample_ends_as_the_readme_says(checkout: Path) -> None:
    (paragraph,) = (part for part in README.split("\n\n") if "bad.csv" in part)
    spoken = [" ".join(words.split()) for words in re.findall(r"`([^`]+)`", paragraph)]
    command = next(words for words in spoken if words.endswith("bad.csv"))
    ran = run(["-m", *shlex.split(command)], checkout)
    code = re.search(r"exit\s+code\s+(\d+)", paragraph)
    assert code
    assert ran.returncode == int(code[1]) == 3
    rejects = next(words for words in spoken if words.endswith(".rejects.csv"))
    with (checkout / rejects).open(encoding="utf-8", newline="") as file:
        assert all(row["line"] and row["reason"] for row in csv.DictReader(file))


def test_the_python_example_runs(checkout: Path) -> None:
    """Unchanged, with images and a file of forms from the sample data."""
    shutil.copy(checkout / "sample_data" / "digits.parquet", checkout / "forms.parquet")
    (example,) = blocks("python")
    shown = "import json; print(json.dumps([table.num_rows, summary.exit_code, bundle.digest]))"
    ran = run(["-c", "\n".join([IMAGES, example, shown])], checkout)
    assert ran.returncode == 0, ran.stderr
    rows, exit_code, digest = json.loads(ran.stdout)
    assert (rows, exit_code) == (1797, 0)
    assert digest.startswith("sha256:")
    assert (checkout / "scored.parquet").is_file()
