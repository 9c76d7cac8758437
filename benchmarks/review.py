"""Accept or review: does it find what is no digit, keep its promise, and what does it cost?

    python benchmarks/review.py [--bundle FILE] [--rows 1000000] [--pairs 5] [--resplits 100]

Without --bundle one is trained: the tutorial's split, `--max-error 0.5%`.

- found: the part of rows of each kind that goes to review, by ink alone, with strangeness, and by
  any cause. `digits` are the tutorial's 540 held-out ones, and the other kinds are made from them.
  The false alarm is the bundle's own figure: digits that ink or strangeness would send to review,
  each judged by bounds and centroids of rows it is not among.
- kept: every training digit is judged by a network that had not seen it (three folds, as train
  does it), which gives a pool of confidences, right and wrong. 100 times the pool is split at
  random, the threshold for 0.5 % is found on one half, and the errors among accepted rows are
  counted on the other. A half holds 4 errors or so, so a count above the promise is chance at
  times. So the same again with as many rows as the pool has, drawn with replacement, and the whole
  pool, from which they came, as the truth. The networks are not trained anew each time.
- price: rows a second of `score` on Parquet, in one process and in turn, over those without
  decision, rules and drift. By CPU time too, which other work on the machine disturbs less.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import (
    ROOT,
    finish,
    in_turn,
    make_data,
    make_parser,
    make_ready,
    ratios,
    run,
    show,
    table,
    target,
)
from numpy.typing import NDArray
from strangers import strangers

sys.path.insert(0, str(ROOT))

from batchdigits import open_bundle
from batchdigits import score as score_files
from batchdigits.archive.bundle_file import build_bundle, read_bundle
from batchdigits.errors import UnusableInputError
from batchdigits.scoring import one_input
from batchdigits.scoring.decision import CAUSES
from batchdigits.training.cross_validation import judge_training_rows
from batchdigits.training.data import load_tutorial_digits
from batchdigits.training.frameworks import prepare_frameworks
from batchdigits.training.options import TrainOptions
from batchdigits.training.review_threshold import find_review_threshold
from batchdigits.training.settings import make_settings
from batchdigits.training.split import split_rows

MAX_ERROR = 0.005
PROMISED = (
    *("blank", "inverted", "noise", "thin noise", "shuffled", "transposed"),
    *("scaled to 0..1", "scaled to 0..4", "scaled to 0..8"),
)
BY_INK = ("little-ink", "much-ink", "pale")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, rows=1_000_000)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--resplits", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("found", "kept", "price"))
    arguments = parser.parse_args(argv)
    before = make_ready()
    arguments.data_folder.mkdir(parents=True, exist_ok=True)
    bundle = arguments.bundle
    if bundle is None and arguments.only != "kept":
        bundle = _train(arguments.data_folder)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "found": lambda: _found(bundle, arguments.seed),
        "kept": lambda: _kept(arguments.resplits, arguments.seed),
        "price": lambda: _price(bundle, arguments.data_folder, arguments.rows, arguments.pairs),
    }
    chosen = [arguments.only] if arguments.only else list(parts)
    figures = {name: parts[name]() for name in chosen}
    finish("review", figures, save=arguments.save, load_before=before)
    return 0


def _train(folder: Path) -> Path:
    path = folder / "review.bundle"
    show("training")
    command = [sys.executable, "-m", "batchdigits.train", "--max-error", f"{MAX_ERROR:.1%}"]
    run([*command, "--output", str(path), "--overwrite"])
    return path


def _found(bundle: Path, seed: int) -> dict[str, Any]:
    """The part of each kind that goes to review."""
    data = load_tutorial_digits()
    held = data.pixels[split_rows(data, 0.3, 0).held].astype(np.uint8)
    opened = open_bundle(bundle)
    shares: dict[str, dict[str, float]] = {}
    for name, cells in {"digits": held, **strangers(held, seed)}.items():
        causes = opened.predict(cells, strangeness=True)["cause"].to_pylist()
        by_ink = sum(cause in BY_INK for cause in causes)
        no_digit = by_ink + causes.count("strange")
        any_cause = len(causes) - causes.count(None)
        shares[name] = {
            "rows": len(causes),
            "ink": by_ink / len(causes),
            "ink_or_strange": no_digit / len(causes),
            "review": any_cause / len(causes),
        }
    columns = ("ink", "ink_or_strange", "review")
    lines = [[name, *(f"{one[key]:.2%}" for key in columns)] for name, one in shares.items()]
    print(table(["", "by ink", "with strangeness", "for any cause"], lines))
    false_alarm = float(opened.manifest.thresholds["false_alarm"])
    least = min(shares[name]["review"] for name in PROMISED)
    return {
        "shares": shares,
        "causes": list(CAUSES),
        "false_alarm": {"value": false_alarm, **target(false_alarm, 0.01, at_most=True)},
        "least_of_promised": {"value": least, **target(least, 1.0)},
        "letters": {
            "value": shares["letters"]["review"],
            **target(shares["letters"]["review"], 0.9),
        },
    }


def _kept(resplits: int, seed: int) -> dict[str, Any]:
    """How often the promise is kept, on halves and on draws with replacement."""
    prepare_frameworks()
    data = load_tutorial_digits()
    settings = make_settings("mlp", "default", 0, {})
    rows = np.arange(len(data.targets))
    unseen = judge_training_rows(data, rows, settings, TrainOptions(), show)
    if unseen is None:
        raise SystemExit("the recipe has no calibration folds")
    confidence, is_right = unseen.probabilities.max(axis=1), unseen.is_right
    generator = np.random.default_rng(seed)
    halves, draws = [], []
    for _ in range(resplits):
        order = generator.permutation(len(rows))
        first, second = np.array_split(order, 2)
        halves.append(_checked(confidence, is_right, first, second))
        drawn = generator.integers(0, len(rows), len(rows))
        draws.append(_checked(confidence, is_right, drawn, rows))
    figures = {
        "errors_in_pool": int((~is_right).sum()),
        "halves": _summed(halves),
        "draws": _summed(draws),
    }
    lines = [
        [name, str(one["kept"]), str(one["unproven"]), f"{one['coverage']:.1%}"]
        for name, one in (("halves", figures["halves"]), ("draws", figures["draws"]))
    ]
    print(table([f"of {resplits}", "kept", "nothing proven", "coverage, mean"], lines))
    return figures


def _checked(
    confidence: NDArray[np.float64],
    is_right: NDArray[np.bool_],
    chosen: NDArray[np.int64],
    judged: NDArray[np.int64],
) -> tuple[float, float] | None:
    """Errors among accepted rows, as a part of them, and coverage; None if none can be accepted."""
    try:
        found = find_review_threshold(confidence[chosen], is_right[chosen], MAX_ERROR)
    except UnusableInputError:
        return None
    accepted = confidence[judged] >= found.review_below
    return float((~is_right[judged])[accepted].mean()), float(accepted.mean())


def _summed(checked: list[tuple[float, float] | None]) -> dict[str, Any]:
    """A threshold that can't be proven accepts nothing, and so breaks no promise."""
    proven = [one for one in checked if one is not None]
    kept = sum(error <= MAX_ERROR for error, _ in proven) + len(checked) - len(proven)
    part = kept / len(checked)
    return {
        "kept": kept,
        "of": len(checked),
        "unproven": len(checked) - len(proven),
        "worst_error": max(error for error, _ in proven),
        "coverage": float(np.mean([coverage for _, coverage in proven])),
        **target(part, 0.95),
    }


def _price(bundle: Path, folder: Path, rows: int, pairs: int) -> dict[str, Any]:
    source = make_data(folder, rows, "parquet")
    plain = folder / "plain.bundle"
    file = read_bundle(bundle)
    members = {name: data for name, data in file.members.items() if name != "manifest.json"}
    plain.write_bytes(build_bundle(replace(file.manifest, thresholds={}), members))
    output = folder / "review-out.parquet"
    sides = {
        "without": partial(_seconds, source, output, plain, drift=False),
        "rules, decision, drift": partial(_seconds, source, output, bundle),
        "and strangeness": partial(_seconds, source, output, bundle, strangeness=True),
    }
    sides["without"]()  # imports and caches
    cpu: dict[str, list[float]] = {name: [] for name in sides}

    def timed(name: str) -> float:
        seconds, cpu_seconds = sides[name]()
        cpu[name].append(cpu_seconds)
        return seconds

    clock = in_turn(pairs, {name: partial(timed, name) for name in sides})
    figures, lines = {}, []
    for name, wanted in (("rules, decision, drift", 0.9), ("and strangeness", 0.6)):
        by_clock, by_cpu = (ratios(times["without"], times[name]) for times in (clock, cpu))
        figures[name] = {"ratio": by_clock, "by_cpu": by_cpu, **target(by_clock.median, wanted)}
        lines.append([name, by_clock.text(), by_cpu.text(), f">= {wanted}"])
    print(table(["rows/s over without", "by the clock", "by CPU time", "wanted"], lines))
    return {"rows": rows, "pairs": pairs, **figures}


def _seconds(
    source: Path, output: Path, bundle: Path, *, strangeness: bool = False, drift: bool = True
) -> tuple[float, float]:
    """Seconds by the clock, and of CPU time, of one run."""
    for path in (output, output.with_suffix(".receipt.json")):
        path.unlink(missing_ok=True)
    started, busy = time.perf_counter(), time.process_time()
    with _drift(measured=drift):
        summary = score_files(source, output=output, bundle=bundle, strangeness=strangeness)
    if summary.exit_code != 0:
        raise SystemExit(f"the run ended with {summary.exit_code}: {summary.inputs[0].error}")
    return time.perf_counter() - started, time.process_time() - busy


@contextmanager
def _drift(*, measured: bool) -> Iterator[None]:
    """No flag switches drift off; the field of `Work` does."""
    original = one_input.Work
    one_input.Work = partial(original, drift=measured)  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        one_input.Work = original  # type: ignore[misc]


if __name__ == "__main__":
    sys.exit(main())
