"""A folder on a local disk as the place of outputs."""

from pathlib import Path

import pytest

from batchdigits.errors import OutputError, TryAgainError
from batchdigits.files.commit import WrittenFile
from batchdigits.files.inputs import expand_inputs
from batchdigits.files.places.contract import Place
from batchdigits.files.places.local import LocalFolder
from batchdigits.files.targets import plan_targets


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "in.csv").write_text("id\n1\n")
    inputs = expand_inputs([str(tmp_path / "in.csv")])
    (targets,) = plan_targets(inputs, str(tmp_path / "out" / "x.csv"))
    return LocalFolder(targets)


def write(place: Place) -> list[WrittenFile]:
    path = place.targets.predictions
    stream = place.open(path)
    stream.write(b"id,prediction\n1,7\n")
    stream.close()
    return [WrittenFile(path, stream.digest(), stream.bytes_written)]


def test_what_is_published_has_its_final_names_and_a_receipt(place: Place) -> None:
    place.check()
    with place.held():
        place.publish(write(place), {"format": 1})
    names = sorted(path.name for path in place.targets.folder.iterdir())
    assert names == ["x.csv", "x.receipt.json"]
    assert place.is_settled()


def test_an_exception_leaves_nothing_behind(place: Place) -> None:
    def fail() -> None:
        write(place)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), place.held():
        fail()
    assert not list(place.targets.folder.iterdir())


def test_a_place_that_is_held_keeps_others_away(place: Place) -> None:
    with place.held():
        with pytest.raises(TryAgainError, match="another run"):
            place.is_settled()
        with pytest.raises(TryAgainError, match="another run"), LocalFolder(place.targets).held():
            pass


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("out/", "out/in.predictions.csv"),
        ("out/in.csv", "out/"),
        ("out/in.predictions.csv", "out/in.csv"),
        ("out/in.predictions.parquet", "out/in.predictions.csv.gz"),
    ],
)
def test_two_ways_to_one_name_have_one_lock(tmp_path: Path, first: str, second: str) -> None:
    """A folder and a file as --output, or two files: the second run is kept away."""
    (tmp_path / "in.csv").write_text("id\n1\n")
    inputs = expand_inputs([str(tmp_path / "in.csv")])
    (tmp_path / "out").mkdir()
    places = [
        LocalFolder(*plan_targets(inputs, f"{tmp_path}/{output}")) for output in (first, second)
    ]
    for one, other in (places, reversed(places)):
        with (
            one.held(),
            pytest.raises(TryAgainError, match="another run"),
            other.held(),
        ):
            pass


def test_a_name_that_can_not_be_written_is_refused_before_any_work(place: Place) -> None:
    place.targets.folder.parent.joinpath("out").write_text("a file")
    with pytest.raises(OutputError, match="choose another --output"):
        place.check()
