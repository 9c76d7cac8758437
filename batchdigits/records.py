"""Frozen records: what `dataclass(frozen=True, slots=True)` makes, in a quarter of its time.

A command makes some sixty of them before it reads a row. The standard library compiles six methods
for each; here all but `__init__` are the same functions for every class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from functools import partial
from typing import Any, NoReturn, TypeVar, dataclass_transform, overload

ClassT = TypeVar("ClassT")


@overload
def record(made: type[ClassT], /) -> type[ClassT]: ...


@overload
def record(*, kw_only: bool) -> Callable[[type[ClassT]], type[ClassT]]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(made: Any = None, /, *, kw_only: bool = False) -> Any:
    """Make a frozen dataclass with slots of a class.

    All of `dataclasses` works with it: `field`, `fields`, `replace`, `asdict`. It may be pickled.

    kw_only  its fields are given by keyword
    """
    if made is None:
        return partial(record, kw_only=kw_only)
    own = set(vars(made))
    result: Any = dataclass(made, init=False, repr=False, eq=False, slots=True, kw_only=kw_only)
    for name, method in _METHODS.items():
        if name not in own:
            setattr(result, name, method)
    result.__init__ = _init(result)
    return result


def _init(made: Any) -> Any:
    """Compile `__init__`, which sets every field by its argument or default."""
    scope: dict[str, Any] = {"_set": object.__setattr__, "_MISSING": MISSING}
    lines = [_line(each, scope) for each in fields(made)]
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    by_place = [_parameter(each) for each in fields(made) if not each.kw_only]
    by_name = [_parameter(each) for each in fields(made) if each.kw_only]
    parameters = ", ".join(["self", *by_place, *(["*", *by_name] if by_name else [])])
    exec("\n ".join([f"def __init__({parameters}):", *(lines or ["pass"])]), scope)  # noqa: S102  # as `dataclass` does
    init = scope["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    init.__annotations__ = {each.name: each.type for each in fields(made)} | {"return": None}
    return init


def _parameter(each: Field[Any]) -> str:
    if each.default is not MISSING:
        return f"{each.name}=_default_{each.name}"
    return each.name if each.default_factory is MISSING else f"{each.name}=_MISSING"


def _line(each: Field[Any], scope: dict[str, Any]) -> str:
    name, value = each.name, each.name
    if each.default is not MISSING:
        scope[f"_default_{name}"] = each.default
    elif each.default_factory is not MISSING:
        scope[f"_make_{name}"] = each.default_factory
        value = f"_make_{name}() if {name} is _MISSING else {name}"
    return f"_set(self, {name!r}, {value})"


def _repr(self: Any) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self))
    return f"{type(self).__qualname__}({shown})"


def _compared(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, each.name) for each in fields(self) if each.compare)


def _eq(self: Any, other: object) -> Any:
    if other.__class__ is self.__class__:
        return _compared(self) == _compared(other)
    return NotImplemented


def _hash(self: Any) -> int:
    return hash(_compared(self))


def _setattr(_self: Any, name: str, _value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(_self: Any, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    for each, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)


_METHODS: dict[str, Callable[..., Any]] = {
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}
