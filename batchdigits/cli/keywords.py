"""Options in messages: flags where a command runs, keywords where Python calls.

Messages are written with flags, since most people meet them in a terminal. A function that Python
calls passes them on with its keywords: `--review-below 2` becomes `review_below=2`.
"""

from __future__ import annotations

import functools
import inspect
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from batchdigits.cli.quiet import in_command
from batchdigits.errors import BatchdigitsError, as_ours, is_impossible_name

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# A flag, and the blank before its value: a number or a text in quotes.
_FLAG = r"(?<![\w-])--(?P<name>[a-z]+(?:-[a-z]+)*)(?P<value> (?=[\d.'\"]|-\d))?"
_LOGGERS = ("batchdigits", "batchdigits.scoring")

_WORDS: dict[str, str] = {"no-header": "header=False", "no-lock": "lock=False"}
"""Each flag that is a keyword too, with its spelling; filled by `with_keywords`."""


def with_keywords(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let a public function, called from Python, raise and log messages with its keywords."""
    for parameter in inspect.signature(function).parameters.values():
        switch = "=True" if str(parameter.annotation).startswith("bool") else ""
        _WORDS[parameter.name.replace("_", "-")] = f"{parameter.name}{switch}"

    @functools.wraps(function)
    def called(*args: Arguments.args, **keywords: Arguments.kwargs) -> Result:
        with _spelled():
            result = function(*args, **keywords)
        return _spelled_batches(result) if inspect.isgenerator(result) else result  # type: ignore[return-value]

    return called


def as_keywords(text: str) -> str:
    """Return a message with the flags that are keywords as keywords."""
    return re.sub(_FLAG, _keyword, text)


def spelled(message: str | None) -> str | None:
    """Return a message for whoever runs this: with flags in a command, else with keywords."""
    return message if message is None or in_command() else as_keywords(message)


def _keyword(flag: re.Match[str]) -> str:
    word = _WORDS.get(flag["name"])
    if word is None:
        return flag[0]
    if flag["value"] is None:
        return word
    return f"{word.removesuffix('=True')}="


@contextmanager
def _spelled() -> Iterator[None]:
    if in_command():
        yield
        return
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    log_filter = _Filter()
    for logger in loggers:
        logger.addFilter(log_filter)
    try:
        yield
    except ValueError as error:
        if is_impossible_name(error):
            raise as_ours(error) from error
        raise
    except BatchdigitsError as error:
        error.args = tuple(as_keywords(str(part)) for part in error.args)
        raise
    finally:
        for logger in loggers:
            logger.removeFilter(log_filter)


def _spelled_batches(batches: Iterator[Result]) -> Iterator[Result]:
    with _spelled():
        yield from batches


class _Filter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = as_keywords(record.getMessage()), ()
        return True
