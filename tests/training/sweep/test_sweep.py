import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchdigits.archive.bundle_file import read_bundle
from batchdigits.engines.open import replay_bundle
from batchdigits.errors import OutputError, TryAgainError, UsageError
from batchdigits.files.lock import hold_lock
from batchdigits.train import main
from batchdigits.training.data import Labelled
from batchdigits.training.job import TrainResult, train
from batchdigits.training.options import TrainOptions
from batchdigits.training.sweep.result import rank_trials
from batchdigits.training.sweep.search import make_judge, new_study, plan_sweep

optuna = pytest.importorskip("optuna")

SWEEP = """
[search]
trials = {trials}
folds = 2
[space]
units = [4, 24]
learning_rate = {{ low = 0.001, high = 0.05, log = true }}
"""


@pytest.fixture(scope="module")
def folder(digits: Labelled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 labelled digits and a sweep over them."""
    folder = tmp_path_factory.mktemp("sweeps")
    columns = {f"pixel_{i}": digits.pixels[:200, i] for i in range(64)}
    pq.write_table(pa.table({**columns, "label": digits.targets[:200]}), folder / "rows.parquet")
    (folder / "sweep.toml").write_text(SWEEP.format(trials=4))
    return folder


def options_of(folder: Path, output: str = "swept.bundle") -> TrainOptions:
    return TrainOptions(
        data=(str(folder / "rows.parquet"),),
        sweep=str(folder / "sweep.toml"),
        output=str(folder / output),
        overwrite=True,
        created="2026-01-31T02:00:00Z",
        settings={"copies": 0, "epochs": 2, "batch_size": 16, "calibration_folds": 0},
    )


@pytest.fixture(scope="module")
def swept(folder: Path) -> TrainResult:
    return train(options_of(folder))


def test_the_winner_is_the_most_accurate_of_all(swept: TrainResult) -> None:
    """Every combination met the same folds; the spread is over them."""
    assert swept.sweep is not None
    assert swept.sweep.trials == len(swept.sweep.tried) == 4
    assert {one.number for one in swept.sweep.tried} == {1, 2, 3, 4}
    accuracies = [one.accuracy for one in swept.sweep.tried]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] > accuracies[-1]
    best = swept.sweep.winner
    assert best.accuracy == pytest.approx(np.mean(best.folds))
    assert best.spread == pytest.approx(abs(best.folds[0] - best.folds[1]) / np.sqrt(2))


def test_the_bundle_is_the_winners_and_says_so(swept: TrainResult) -> None:
    assert swept.sweep is not None
    bundle = read_bundle(swept.path, expect_digest=swept.digest)
    replay_bundle(bundle)
    manifest, winner = bundle.manifest, swept.sweep.winner
    assert {name: manifest.recipe[name] for name in winner.values} == winner.values
    assert manifest.metrics["sweep"]["combinations"] == 4
    assert manifest.metrics["sweep"]["accuracy"] == winner.accuracy
    assert manifest.metrics["measured_on"] == "60 held-out rows"
    card = bundle.members["card.md"].decode()
    assert "the best of 4 combinations" in card
    assert "The held-out rows had no influence on the choice." in card


def test_the_manifests_command_trains_the_same_without_a_sweep(
    swept: TrainResult, folder: Path
) -> None:
    """The study may be lost: the command names what was chosen."""
    command = read_bundle(swept.path).manifest.command.split()
    assert command[:3] == ["python", "-m", "batchdigits.train"]
    assert "--sweep" not in command
    again = folder / "again.bundle"
    assert main([*command[3:], "--output", str(again)]) == 0
    member = "model.keras"
    assert read_bundle(again).members[member] == read_bundle(swept.path).members[member]


def test_the_picture_is_an_image(swept: TrainResult) -> None:
    assert swept.sweep is not None
    data = swept.sweep.picture.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    assert width > 3 * height > 600  # one row of three panels


@pytest.mark.slow
@pytest.mark.parametrize("cores", [1, 3])
def test_any_number_of_cores_gives_the_same_sweep(
    swept: TrainResult, folder: Path, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.setattr("batchdigits.training.workers.available_workers", lambda: cores)
    study = str(folder / f"{cores}.study")
    again = train(replace(options_of(folder, f"{cores}.bundle"), study=study))
    assert again.sweep is not None
    assert swept.sweep is not None
    assert again.sweep.tried == swept.sweep.tried
    member = "model.onnx"
    assert read_bundle(again.path).members[member] == read_bundle(swept.path).members[member]


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_ends_the_same(swept: TrainResult, folder: Path) -> None:
    """SIGKILL in the midst of a trial: finished ones are kept, and nothing else differs."""
    study, sweep = folder / "killed.study", folder / "killed.toml"
    sweep.write_text(SWEEP.format(trials=1000))
    options = replace(options_of(folder), sweep=str(sweep))
    code = (
        "from batchdigits.rows.options import ReadOptions\n"
        "from batchdigits.training.job import train\n"
        "from batchdigits.training.options import TrainOptions\n"
        f"train({options})"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        deadline = time.monotonic() + 300
        while _trials(study) < 2 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    kept = _trials(study)
    assert 2 <= kept < 1000
    assert not (folder / "killed.study.png").exists()

    with study.open("ab") as file:  # as a power failure may leave it
        file.write(b'{"op_code":4,"wor')
    sweep.write_text(SWEEP.format(trials=max(kept, 4)))
    resumed = train(options)
    assert resumed.sweep is not None
    assert swept.sweep is not None
    assert _trials(study) == max(kept, 4)
    assert all(one in resumed.sweep.tried for one in swept.sweep.tried)
    if kept <= 4:
        assert resumed.digest == swept.digest


def _trials(study: Path) -> int:
    """Whole lines of the journal that add a trial."""
    if not study.exists():
        return 0
    *lines, _ = study.read_bytes().split(b"\n")
    return sum(line.startswith(b'{"op_code":4,') for line in lines)


def test_a_finished_sweep_is_not_run_again(swept: TrainResult, folder: Path) -> None:
    """More trials go on from the first ones; as many give the same bundle at once."""
    study = folder / "sweep.study"
    before = study.read_bytes()
    progress: list[str] = []
    again = train(options_of(folder, "once-more.bundle"), progress.append)
    assert again.digest == swept.digest
    assert study.read_bytes() == before
    assert not any(line.startswith("combination") for line in progress)


def test_the_study_of_another_sweep_is_refused(
    swept: TrainResult, folder: Path, tmp_path: Path
) -> None:
    """It names what differs, and leaves the file as it was."""
    study = folder / "sweep.study"
    before = study.read_bytes()
    options = replace(options_of(folder), study=str(study))
    other = tmp_path / "other.toml"
    other.write_text(SWEEP.format(trials=4).replace("24", "25"))
    for changed, what in (
        (replace(options, sweep=str(other)), "space"),
        (replace(options, settings={**options.settings, "seed": 1}), "settings"),
        (replace(options, settings={**options.settings, "epochs": 3}), "settings"),
        (replace(options, test_share=0.4), "training rows"),
        (replace(options, split_seed=1), "folds, training rows"),
    ):
        with pytest.raises(OutputError, match=f"with other {what}; name another file with --study"):
            train(changed)
    assert study.read_bytes() == before


def test_a_file_that_is_no_study_is_left_alone(folder: Path, tmp_path: Path) -> None:
    for content in (b"precious", b"precious\n", b'{"op_code":0,\n', b'{"op_code":9}\n'):
        study = tmp_path / "notes.txt"
        study.write_bytes(content)
        with pytest.raises(OutputError, match="is not a sound study of a sweep"):
            train(replace(options_of(folder), study=str(study)))
        assert study.read_bytes() == content


def test_a_picture_of_somebody_else_is_left_alone(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "scan.png"
    picture.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"scan\.png: exists, and there is no study"):
        train(replace(options_of(folder), study=str(tmp_path / "scan")))
    assert picture.read_bytes() == b"mine"


def test_a_second_run_at_the_same_time_is_refused(folder: Path, tmp_path: Path) -> None:
    study = tmp_path / "busy.study"
    with hold_lock(study), pytest.raises(TryAgainError, match="another run"):
        train(replace(options_of(folder), study=str(study)))


def test_a_combination_that_comes_up_again_is_not_trained_again(
    folder: Path, tmp_path: Path
) -> None:
    sweep = tmp_path / "again.toml"
    sweep.write_text("[search]\ntrials = 7\nfolds = 2\n[space]\nlearning_rate = [1e-9, 0.02]\n")
    progress: list[str] = []
    result = train(replace(options_of(folder), sweep=str(sweep)), progress.append).sweep
    assert result is not None
    assert (result.trials, len(result.tried)) == (7, 2)
    fitted = {line.split()[1] for line in progress if line.startswith("combination")}
    assert fitted == {str(one.number) for one in result.tried}
    assert result.winner.values == {"learning_rate": 0.02}


def test_a_hopeless_combination_is_left_early_and_never_wins(
    digits: Labelled, folder: Path, tmp_path: Path
) -> None:
    """After its second fold of three, once five are there to compare it with."""
    sweep = tmp_path / "hopeless.toml"
    sweep.write_text("[search]\nfolds = 3\n[space]\nlearning_rate = [1e-9, 0.02]\n")
    options = replace(options_of(folder), sweep=str(sweep))
    good = optuna.trial.create_trial(
        value=0.9,
        intermediate_values={0: 0.9, 1: 0.9, 2: 0.9},
        user_attrs={"folds": [0.9, 0.9, 0.9], "log_loss": 0.5},
    )
    study = new_study([good] * 5)
    study.enqueue_trial({"learning_rate": 1e-9})
    inner = replace(digits, pixels=digits.pixels[:200], targets=digits.targets[:200])
    plan = plan_sweep(options)
    assert plan is not None
    study.optimize(make_judge(inner, plan, options, lambda _: None), n_trials=1)
    *whole, last = rank_trials(study.trials)
    assert [one.number for one in whole] == [1, 2, 3, 4, 5]
    assert (last.number, len(last.folds), last.log_loss) == (6, 2, None)


def test_a_grid_tries_every_combination_once(folder: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "grid.toml"
    sweep.write_text(
        "[search]\nsampler = 'grid'\nfolds = 2\n[space]\nunits = [4]\ndropout = [0, 0.5]"
    )
    result = train(replace(options_of(folder), sweep=str(sweep))).sweep
    assert result is not None
    tried = sorted(tuple(one.values.values()) for one in result.tried)
    assert tried == [(4, 0.0), (4, 0.5)]


def test_a_setting_that_is_searched_and_given_by_a_flag_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"\[space\] units: is given by a flag too"):
        plan_sweep(replace(options_of(folder), settings={"units": 7}))


def test_values_that_no_network_takes_are_refused_at_once(tmp_path: Path) -> None:
    """With the file, the key and the limits: ends of a range count."""
    sweep = tmp_path / "wrong.toml"
    for line, message in (
        ("units = [0]", r"\[space\] units: --units 0: expected 1 to 10000"),
        ("dropout = { low = 0, high = 1 }", r"--dropout 1\.0: expected at least 0 and less than 1"),
        ("arch = ['mlp', 'lenet']", "--arch 'lenet': expected mlp"),
        ("layers = [1, 2]\narch = ['mlp', 'best']", r"layers with arch best: --layers 2"),
    ):
        sweep.write_text(f"[space]\n{line}\n")
        with pytest.raises(UsageError, match=message):
            plan_sweep(TrainOptions(sweep=str(sweep)))


def test_a_missing_extra_names_what_to_install(tmp_path: Path) -> None:
    """As where only the train extra is installed."""
    sweep = tmp_path / "sweep.toml"
    sweep.write_text("[space]\nunits = [1]\n")
    code = (
        "import importlib.util, sys\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = "
        "lambda name, *rest: None if name == 'optuna' else real(name, *rest)\n"
        "from batchdigits import train\n"
        f"sys.exit(train.main(['--sweep', {str(sweep)!r}, '--output', 'x.bundle']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert done.returncode == 69
    assert done.stderr == (
        "batchdigits.train: error: a sweep needs optuna: install the extra sweep: "
        "pip install '.[sweep]' in batchdigits' checkout\n"
    )
