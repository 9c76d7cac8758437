"""docs/reference/bundles.md: subcommands, whose flag is whose, fields of --json."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from command_parsers import subcommands_of
from pages import code, codes, reference, table
from paths import SAMPLE_DATA
from processes import run_command

import batchdigits
from batchdigits.store.choice import packaged_bundle
from batchdigits.store.store import Store

PAGE = reference("bundles")


def test_the_commands_of_bundles_are_all_there() -> None:
    documented = [code(row[0]).split()[0] for row in table(PAGE, "command")]
    assert documented == list(subcommands_of("bundles"))


def test_flags_of_bundles_are_laid_to_the_right_commands() -> None:
    parsers = subcommands_of("bundles")
    for usage, of, *_ in table(PAGE, "flag"):
        flag = code(usage).split()[0]
        having = {name for name, parser in parsers.items() if flag in parser._option_string_actions}
        listed, _, left_out = of.partition(" but ")
        expected = set(parsers) if listed == "all" else set(listed.split(", "))
        assert having == expected - set(left_out.split(", ")), flag


def test_bundles_json_has_the_fields_in_the_table(tmp_path: Path) -> None:
    (tmp_path / "store" / "digits").mkdir(parents=True)
    version = batchdigits.open_bundle().manifest.version
    name = f"digits@{version}"
    shutil.copy(packaged_bundle(), Store(tmp_path / "store").path("digits", version))
    Store(tmp_path / "store").set_alias("digits", "production", version)
    given = {
        "list": [],
        "diff": [name, "digits", "--data", str(SAMPLE_DATA / "digits.parquet")],
        "history": ["digits"],
        "prune": ["digits", "--keep", "1"],
        "export": [name, "--onnx", "digits.onnx"],
    }
    for what, fields in table(PAGE, "`--json` of"):
        if what == "import":  # tests/bundles/test_importing.py imports a model
            continue
        arguments = given.get(what, [name])
        ran = run_command("bundles", what, *arguments, "--store", "store", "--json", cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        assert list(json.loads(ran.stdout)) == codes(fields), what
