"""Run every pinned case through the commands, and write what came of it.

    python tests/pins/record.py                    writes tests/pins/goldens/ anew
    python tests/pins/record.py --section help     only that of one section
    python tests/pins/record.py --to FOLDER        writes the same elsewhere, to be compared
    python tests/pins/record.py --bytes out.json   the SHA-256 of each file that the cases write

`--bytes` tells whether two checkouts write the same bytes: run it in each, on one machine, and
compare the two files. Any Python will do that imports the batchdigits of the checkout (one that
has another installed needs `PYTHONPATH=.`); which it was is said on standard error. The section
`train` needs the sweep extra, `signing` the sign extra.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
GOLDENS = HERE / "goldens"
SECTIONS = ("help", "exits", "predict", "evaluate", "receipts", "bundles", "signing", "train")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Record what the commands do.")
    parser.add_argument("--section", choices=SECTIONS, action="append", help="default: all")
    parser.add_argument("--to", type=Path, default=GOLDENS, metavar="FOLDER")
    parser.add_argument("--bytes", type=Path, metavar="FILE")
    given = parser.parse_args(argv)
    sections = given.section or list(SECTIONS)
    if len(sections) > 1:
        return _each_in_its_own_process(sections, given)
    values, digests = record(sections[0])
    sys.stderr.write(
        f"{sections[0]}: {len(values)} cases of {sys.modules['batchdigits'].__file__}\n"
    )
    if given.bytes is not None:
        _merge(given.bytes, {sections[0]: digests})
    else:
        given.to.mkdir(exist_ok=True)
        text = readable(values) + "\n"
        (given.to / f"{sections[0]}.json").write_text(text, encoding="utf-8")
    return 0


def _each_in_its_own_process(sections: Sequence[str], given: argparse.Namespace) -> int:
    """TensorFlow, once it is imported, must not be what makes another section work."""
    where = ["--to", str(given.to)]
    if given.bytes is not None:
        given.bytes.unlink(missing_ok=True)
        where = ["--bytes", str(given.bytes)]
    for section in sections:
        command = [sys.executable, __file__, "--section", section, *where]
        code = subprocess.run(command, check=False).returncode
        if code:
            return code
    return 0


def _merge(path: Path, found: dict[str, Any]) -> None:
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**before, **found}, indent=1) + "\n", encoding="utf-8")


def record(section: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Values by case and digests by file, of one section, run in a temporary folder."""
    from pin_inputs import make_inputs
    from pin_runs import Pins, forget_settings

    forget_settings()
    pins, before = Pins(), Path.cwd()
    # Python finds batchdigits as it did here, also in the processes that cases start.
    os.environ["PYTHONPATH"] = os.pathsep.join(one or str(before) for one in sys.path[1:])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            make_inputs(Path("inputs").absolute())
            import_module(f"pin_{section}").record(pins, Path("inputs").absolute())
        finally:
            os.chdir(before)
    return pins.values, pins.digests


def readable(value: Any, indent: str = "") -> str:
    """JSON with one line for each list of plain values, so that rows can be read and compared."""
    deeper = f"{indent} "
    if isinstance(value, dict) and value:
        lines = [
            f"{deeper}{json.dumps(key, ensure_ascii=False)}: {readable(one, deeper)}"
            for key, one in value.items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        return "[\n" + ",\n".join(deeper + readable(one, deeper) for one in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main())
