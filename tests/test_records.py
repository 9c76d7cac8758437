"""A record behaves as a frozen dataclass with slots, and is made sooner."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any

import pytest

from batchdigits.records import record


@record
class Point:
    """Two places and what is said of them."""

    x: int
    y: int = 7
    notes: list[str] = field(default_factory=list)
    weight: float = field(default=1.0, compare=False)

    @property
    def total(self) -> int:
        return self.x + self.y


@record(kw_only=True)
class Named(Point):
    name: str

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("no name")


@dataclass(frozen=True, slots=True)
class Expected:
    """The same as `Point`, made by the standard library."""

    x: int
    y: int = 7
    notes: list[str] = field(default_factory=list)
    weight: float = field(default=1.0, compare=False)


def test_a_record_holds_its_fields_and_defaults() -> None:
    point, other = Point(1), Point(1, notes=["a"])
    assert (point.x, point.y, point.notes, point.weight, point.total) == (1, 7, [], 1.0, 8)
    assert point.notes is not Point(1).notes
    assert other == replace(point, notes=["a"])
    assert asdict(other) == {"x": 1, "y": 7, "notes": ["a"], "weight": 1.0}
    assert [each.name for each in fields(point)] == ["x", "y", "notes", "weight"]


def test_a_record_is_shown_and_compared_as_a_dataclass() -> None:
    assert repr(Point(1)) == repr(Expected(1)).replace("Expected", "Point")
    assert Point(1) == Point(1, weight=2.0) != Point(2)
    assert Point(1) != Expected(1)
    assert Point.__match_args__ == Expected.__match_args__  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        hash(Point(1))
    assert hash(Point(1, notes=())) == hash(Point(1, notes=(), weight=3.0))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["x", "other"])
def test_a_record_can_not_be_changed(name: str) -> None:
    point: Any = Point(1)
    with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{name}'"):
        setattr(point, name, 2)
    with pytest.raises(FrozenInstanceError, match=f"cannot delete field '{name}'"):
        delattr(point, name)
    assert not hasattr(point, "__dict__")


def test_a_record_inherits_fields_and_checks_itself() -> None:
    named = Named(1, name="a")
    assert repr(named) == "Named(x=1, y=7, notes=[], weight=1.0, name='a')"
    assert named != Point(1)
    with pytest.raises(ValueError, match="no name"):
        Named(1, name="")
    with pytest.raises(TypeError, match="positional"):
        Named(1, 2, [], 1.0, "a")  # type: ignore[misc]


def test_a_record_names_an_argument_that_is_missing() -> None:
    with pytest.raises(TypeError, match=r"Point\.__init__\(\) missing 1 required positional arg"):
        Point()  # type: ignore[call-arg]
    assert list(inspect.signature(Point).parameters) == ["x", "y", "notes", "weight"]
    assert inspect.signature(Point).parameters["x"].annotation == "int"


def test_a_record_can_be_pickled() -> None:
    named = Named(1, notes=["a"], name="b", weight=3.0)
    again = pickle.loads(pickle.dumps(named))  # noqa: S301  # our own
    assert again == named
    assert again.weight == 3.0
