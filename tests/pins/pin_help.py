"""The flags of every command, as its --help lists them: names, metavars, stated defaults.

Sentences are not kept. Of a default only a plain word is: `(default: 20)`, not
`(default: the recipe's)`; and every variable that the help names.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pin_runs import Pins, run_here, run_process

COMMANDS: tuple[tuple[str, ...], ...] = (
    *(("predict",), ("train",), ("evaluate",), ("receipts",), ("receipts", "verify")),
    ("bundles",),
    *(("bundles", name) for name in ("list", "show", "verify", "keygen", "sign", "diff")),
    *(("bundles", name) for name in ("promote", "rollback", "history", "prune", "export")),
    ("review",),
    *(("review", name) for name in ("make", "serve", "apply", "rows")),
)
_DEFAULT = re.compile(r"\(default: (?P<value>,|[^\s,;)]+)[,;)]")
_ELSE = re.compile(r"else (?P<value>\S+?)\)")
_VARIABLE = re.compile(r"\$[A-Z_]+")


def record(pins: Pins, inputs: Path) -> None:
    os.environ["COLUMNS"] = "4000"  # each flag and its help on one line
    for command in COMMANDS:
        ran = run_here(*command, "--help")
        pins.keep(" ".join(command), {"code": ran.code, **help_facts(ran.stdout)})
    for name in ("predict", "train", "evaluate", "receipts", "bundles"):
        done = run_process(name, "--help")
        first = done.stdout.partition(" [")[0]
        pins.keep(f"python -m batchdigits.{name}", {"code": done.code, "begins": first})
    version = run_here("--version")
    pins.keep("--version", {"code": version.code, "words": len(version.stdout.split())})
    top = run_here("--help")
    names = re.findall(r"^  (\w+) ", top.stdout, re.MULTILINE)
    pins.keep("--help", {"code": top.code, "commands": sorted(names)})


def help_facts(text: str) -> dict[str, Any]:
    usage, _, rest = text.partition("\n\n")
    needed, optional = _parts(usage.removeprefix("usage: "))
    helps = _help_lines(rest)
    flags = {
        name: {"needed": name in needed, "metavar": metavar, **_stated(helps.get(name, ""))}
        for name, metavar in sorted({**needed, **optional}.items())
    }
    return {
        "positionals": _positionals(usage),
        "subcommands": re.findall(r"^    (\w+) ", rest, re.MULTILINE) if "COMMAND" in usage else [],
        "flags": flags,
    }


def _parts(usage: str) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Flags that must be given and flags that may be, with their metavars."""
    inside = " ".join(re.findall(r"\[(-[^\]]*)\]", usage))
    outside = re.sub(r"\[[^\]]*\]", "", usage)
    outside = re.sub(r"^python -m \S+", "", outside)
    return _flags(outside), _flags(inside)


def _flags(text: str) -> dict[str, str | None]:
    found = {}
    words = text.split()
    for place, word in enumerate(words):
        if word.startswith("-"):
            following = words[place + 1 : place + 2]
            metavar = following[0] if following and not following[0].startswith("-") else None
            found[word] = metavar
    return found


def _positionals(usage: str) -> str:
    """What stands behind the last flag."""
    rest = re.sub(r"\[-[^\]]*\]", "", usage.removeprefix("usage: "))
    rest = re.sub(r"--\S+ \S+", "", rest)
    return " ".join(re.sub(r"^python -m \S+", "", rest).split())


def _help_lines(rest: str) -> dict[str, str]:
    """The help of each flag. At this width each has one line."""
    found = {}
    for line in rest.splitlines():
        if match := re.match(r"\s+(-h, )?(?P<name>--[-\w]+)\b", line):
            found[match["name"]] = line
    return found


def _stated(text: str) -> dict[str, Any]:
    match = _DEFAULT.search(text)
    otherwise = _ELSE.search(text)
    return {
        "default": match and match["value"],
        "else": otherwise and otherwise["value"],
        "variables": sorted(set(_VARIABLE.findall(text))),
    }
