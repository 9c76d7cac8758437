from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_files import HOSTILE

from batchdigits.errors import NoInputError, UsageError
from batchdigits.training.sweep.plan import Dimension, read_plan


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_becomes_a_plan(tmp_path: Path) -> None:
    """Numbers where a share is expected may be whole; what is left out has a default."""
    plan = read_plan(
        write(
            tmp_path,
            """
            [search]
            trials = 7
            sampler = "random"
            [space]
            units = [200, 500]
            optimizer = ["adam", "sgd"]
            layers = { low = 1, high = 3 }
            dropout = { low = 0, high = 0.5, step = 0.1 }
            learning_rate = { low = 1e-4, high = 1e-2, log = true }
            """,
        )
    )
    assert (plan.trials, plan.folds, plan.seed, plan.sampler, plan.prune) == (
        *(7, 5, 0, "random"),
        True,
    )
    assert plan.space == (
        Dimension("units", (200, 500)),
        Dimension("optimizer", ("adam", "sgd")),
        Dimension("layers", low=1, high=3),
        Dimension("dropout", low=0.0, high=0.5, step=0.1),
        Dimension("learning_rate", low=1e-4, high=1e-2, log=True),
    )
    assert isinstance(plan.space[3].low, float)
    assert plan.space[4].as_facts() == {"low": 1e-4, "high": 1e-2, "log": True}


def test_a_grid_has_as_many_trials_as_combinations(tmp_path: Path) -> None:
    space = "[space]\nunits = [1, 2, 3]\nlayers = [1, 2]\n"
    for search, trials in (("", 6), ("trials = 4\n", 4), ("trials = 40\n", 6)):
        text = f"[search]\nsampler = 'grid'\n{search}{space}"
        assert read_plan(write(tmp_path, text)).trials == trials


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("units = [1]", "unknown units; expected search, space"),
        ("", r"space is nothing, expected a table \[space\]"),
        ("space = 3", r"space is 3, expected a table \[space\]"),
        ("[space]", r"\[space\] is empty"),
        ("[space]\nwidth = [1]", r"\[space\]: unknown width; expected arch"),
        ("[space]\nunits = 3", r"\[space\] units is 3, expected a list of whole numbers"),
        ("[space]\nunits = []", r"units is \[\], expected"),
        ("[space]\nunits = [3, 3]", "each value once"),
        ("[space]\nunits = [true]", "units has True, expected a list of whole numbers"),
        ("[space]\nunits = [2.0]", r"units has 2\.0, expected"),
        ("[space]\ndropout = ['a']", "dropout has 'a', expected a list of numbers"),
        ("[space]\narch = { low = 1, high = 2 }", "expected a list of texts"),
        ("[space]\nunits = { low = 1 }", "lacks high"),
        ("[space]\nunits = { low = 1, high = 9, by = 2 }", "unknown by; expected low, high"),
        ("[space]\nunits = { low = 9, high = 9 }", "low is 9, expected less than high"),
        ("[space]\nunits = { low = 1, high = 9, step = 0 }", "step is 0, expected above 0"),
        ("[space]\ndropout = { low = 0.0, high = 0.5, log = true }", "log needs a low above 0"),
        ("[space]\ndropout = { low = nan, high = 0.5 }", "low is nan, expected less"),
        ("[space]\nunits = { low = 1, high = 9, log = 1 }", "log is 1, expected true or false"),
        ("[search]\nfolds = 1\n[space]\nunits = [1]", r"\[search\] folds is 1, expected 2 to 100"),
        ("[search]\ntrials = 2.5\n[space]\nunits = [1]", r"trials is 2\.5, expected 1 to"),
        ("[search]\nsampler = 'cma'\n[space]\nunits = [1]", "expected one of tpe, random, grid"),
        (
            "[search]\nsampler = 'grid'\n[space]\nunits = { low = 1, high = 9 }",
            "needs lists; write units as a list",
        ),
        ("[space]\nunits = [1]\nunits = [2]", "is not TOML: Cannot overwrite a value"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    """In one line, with the file, the key and what was expected."""
    with pytest.raises(UsageError, match=message) as caught:
        read_plan(write(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path / "sweep.toml"))


def test_a_file_that_is_not_there_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="can't be read: No such file"):
        read_plan(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("plant", HOSTILE)
def test_anything_but_a_small_file_of_toml_is_refused(
    tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    path = tmp_path / "sweep.toml"
    plant(path)
    with pytest.raises((NoInputError, UsageError), match=r"sweep\.toml: "):
        read_plan(str(path))


def test_a_plan_may_be_a_link(tmp_path: Path) -> None:
    """A ConfigMap of Kubernetes is a folder of links."""
    write(tmp_path, "[search]\ntrials = 7\n[space]\nunits = [200, 500]\n")
    (tmp_path / "linked.toml").symlink_to("sweep.toml")
    assert read_plan(str(tmp_path / "linked.toml")).trials == 7
