"""docs/reference/exit-codes-and-messages.md: the codes, their classes and their precedence."""

from __future__ import annotations

import inspect
import re

from pages import code, reference, section, table

from batchdigits import errors

EXIT_CODES = section(reference("exit-codes-and-messages"), "Exit codes")


def test_exit_codes_are_those_of_the_classes() -> None:
    classes = {cls for _, cls in inspect.getmembers(errors, inspect.isclass)}
    classes -= {errors.BatchdigitsError, errors.InterruptedRunError}
    known = {
        (cls.exit_code, cls.__name__) for cls in classes if issubclass(cls, errors.BatchdigitsError)
    }
    known |= {(errors.InterruptedRunError(n).exit_code, "InterruptedRunError") for n in (1, 2, 15)}
    rows = table(EXIT_CODES, "code")
    assert {(int(number), code(name)) for number, name, _ in rows if name} == known
    assert [int(number) for number, name, _ in rows if not name] == [0, 3, 4]
    assert [int(row[0]) for row in rows] == sorted(int(row[0]) for row in rows)


def test_the_precedence_of_exit_codes_is_that_of_the_code() -> None:
    listed = re.search(r"first of these that is present:\s([\d,\s]+)\.", EXIT_CODES)
    assert listed
    assert [int(number) for number in listed[1].split(",")] == list(errors.PRECEDENCE)
