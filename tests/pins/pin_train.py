"""Small trainings: what settings and structure their bundles have, and how train refuses.

What comes out of the fitting differs from one processor to the next, so numbers of the metrics and
thresholds are kept as their type. All trainings share this process: TensorFlow takes seconds to
import.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pin_inputs import sample_rows, unpack
from pin_runs import Pins, Ran, masked, own_folder, run_here

QUICK = ("--epochs", "1", "--copies", "0", "--calibration-folds", "0", "--units", "16")
FITTED = ("metrics", "thresholds")
ROWS = 240

TRAININGS: dict[str, tuple[str, ...]] = {
    "tutorial": QUICK,
    "labelled-csv": (
        *("--data", "words.csv", "--label", "word", "--delimiter", ";", "--scale", "240", *QUICK),
        *("--name", "words", "--seed", "3", "--split-seed", "5", "--test-share", "0.25"),
    ),
    "max-error": (
        *("--data", "rows.parquet", "--max-error", "20%", "--units", "48", "--epochs", "12"),
        *("--copies", "2", "--calibration-folds", "2", "--batch-size", "16"),
    ),
    "article-two-layers": (
        *("--arch", "mlp2", "--recipe", "article", "--data", "rows.parquet", *QUICK),
        *("--dropout", "0.1", "--optimizer", "adamw", "--learning-rate", "0.01"),
        *("--early-stopping", "2"),
    ),
    "sweep": (
        *("--data", "rows.parquet", "--sweep", "sweep.toml", "--epochs", "1", "--copies", "0"),
        *("--calibration-folds", "0"),
    ),
    "all-rows-in-folds": (
        *("--data", "uci.csv", "--no-header", "--label", "column_65", *QUICK),
        *("--test-share", "0", "--folds", "2"),
    ),
}

REFUSED: dict[str, tuple[str, ...]] = {
    "test-share": ("--test-share", "1"),
    "folds": ("--test-share", "0", "--folds", "1"),
    "data-missing": ("--data", "gone.csv"),
    "data-is-a-folder": ("--data", "."),
    "label-missing": ("--data", "rows.parquet", "--label", "digit"),
    "label-of-one-class": ("--data", "one-class.csv"),
    "label-empty": ("--data", "no-label.csv"),
    "row-rejected": ("--data", "bad-row.csv"),
    "no-rows": ("--data", "header.csv"),
    "max-error-not-proven": (
        *("--data", "rows.parquet", "--max-error", "0.01%", "--epochs", "1", "--copies", "0"),
        *("--units", "8", "--calibration-folds", "2"),
    ),
}


SWEEP = """
[search]
trials = 1
folds = 2
[space]
units = [24]
"""


def record(pins: Pins, inputs: Path) -> None:
    with own_folder("train", [inputs / "few.csv", inputs / "header.csv"]):
        _prepare()
        for name, flags in REFUSED.items():
            argv = ("train", *flags, "--output", "refused.bundle")
            ran = run_here(*argv)
            facts = _facts(argv, ran)
            pins.keep(name, {**facts, "written": Path("refused.bundle").exists()})
        for name, flags in TRAININGS.items():
            _record_one(pins, name, flags)
        _record_store(pins)


def _prepare() -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    rows = sample_rows()[:ROWS]
    pixels = [f"pixel_{i}" for i in range(64)]
    digits = [[int(cell) for cell in row[4:]] for row in rows]
    columns = {name: [row[i] for row in digits] for i, name in enumerate(pixels)}
    labels = [int(row[3]) for row in rows]
    pq.write_table(pa.table({"label": labels, **columns}), "rows.parquet")
    words = [";".join(["word", *pixels])]
    words += [
        ";".join([names[label], *(str(15 * value) for value in row)])
        for label, row in zip(labels, digits, strict=True)
    ]
    Path("words.csv").write_text("\n".join(words) + "\n", encoding="utf-8")
    lines = [",".join([*row[4:], row[3]]) for row in rows]
    Path("uci.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    Path("sweep.toml").write_text(SWEEP, encoding="utf-8")
    few = Path("few.csv").read_text(encoding="utf-8").splitlines()
    same = [f"a,b,1,7,{line.split(',', 4)[4]}" for line in few[1:]]
    Path("one-class.csv").write_text("\n".join([few[0], *same]), encoding="utf-8")
    empty = [*few[:3], f"a,b,1,,{few[3].split(',', 4)[4]}", *few[4:]]
    Path("no-label.csv").write_text("\n".join(empty), encoding="utf-8")
    bad = [*few[:3], few[3].rpartition(",")[0] + ",x", *few[4:]]
    Path("bad-row.csv").write_text("\n".join(bad), encoding="utf-8")


def _record_one(pins: Pins, name: str, flags: tuple[str, ...]) -> None:
    argv = ("train", *flags, "--output", f"{name}.bundle")
    ran = run_here(*argv)
    pins.keep(name, _facts(argv, ran))
    if ran.code:
        return
    members = unpack(Path(f"{name}.bundle").read_bytes())
    manifest = json.loads(members["manifest.json"])
    pins.keep(f"{name} members", sorted(members))
    pins.keep(f"{name} manifest", manifest_facts(manifest))
    pins.keep(f"{name} reference", _shape(json.loads(members["reference.json"])))
    pins.keep(f"{name} golden rows", golden_facts(members["golden.parquet"]))
    for member, data in members.items():
        if member not in ("manifest.json", "card.md"):  # they tell times
            pins.keep_bytes(name, member, data)
    shown = run_here("bundles", "show", f"./{name}.bundle", "--json").json_lines
    pins.keep(
        f"{name} shown", {"is the manifest": bool(shown) and shown[0]["manifest"] == manifest}
    )
    scored = run_here(
        "predict", "few.csv", "--output", f"{name}.csv", "--bundle", f"./{name}.bundle"
    )
    with Path(f"{name}.csv").open(encoding="utf-8") as file:
        pins.keep(f"{name} scores", {"code": scored.code, "columns": file.readline().split(",")})


def _facts(argv: tuple[str, ...], ran: Ran) -> dict[str, Any]:
    told: Any = ran.stdout_kind
    if ran.json_lines:
        told = [_typed(masked(one, {}), (float,)) for one in ran.json_lines]
    lines = ran.stderr_told("train")
    return {"argv": list(argv), "code": ran.code, "stdout": told, "stderr_lines": lines}


def manifest_facts(manifest: dict[str, Any]) -> dict[str, Any]:
    """Settings as they are; what was measured as its type."""
    facts: dict[str, Any] = masked(manifest, {})
    facts["command"] = facts["command"].split()
    return {name: _typed(one) if name in FITTED else one for name, one in facts.items()}


def _typed(value: Any, kinds: tuple[type, ...] = (int, float)) -> Any:
    """Numbers of these kinds as the name of their type; of a list each kind of item once."""
    if isinstance(value, dict):
        return {name: _typed(one, kinds) for name, one in value.items()}
    if isinstance(value, list):
        items = [_typed(one, kinds) for one in value]
        return [one for place, one in enumerate(items) if one not in items[:place]]
    return f"<{type(value).__name__}>" if type(value) in kinds else value


def _shape(value: Any) -> Any:
    """Keys, and lengths of lists."""
    if isinstance(value, dict):
        return {name: _shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return f"{len(value)} of {_shape(value[0])}" if value else "none"
    return type(value).__name__


def golden_facts(data: bytes) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(data))
    metadata = table.schema.metadata or {}
    return {
        "columns": [[one.name, str(one.type)] for one in table.schema],
        "rows": table.num_rows,
        "metadata": {key.decode(): one.decode() for key, one in sorted(metadata.items())},
    }


def _record_store(pins: Pins) -> None:
    """Published into a store, the version counts up; a digest is that of the file."""
    for number in (1, 2):
        argv = ("train", "--data", "rows.parquet", *QUICK, "--store", "store", "--name", "forms")
        ran = run_here(*argv)
        pins.keep(f"store/{number}", _facts(argv, ran))
        told = (ran.json_lines or [{}])[0]
        data = Path(told["bundle"]).read_bytes()
        pins.keep(
            f"store/{number} digest",
            {"is that of the file": told["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"},
        )
    names = sorted(str(path) for path in Path("store").rglob("*") if path.is_file())
    pins.keep("store files", names)
