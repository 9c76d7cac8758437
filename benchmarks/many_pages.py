"""Check that the memory of `forms read` does not grow with the pages.

    python benchmarks/many_pages.py [--pages 1000] [--workers 1] [--shared FOLDER]

It reads NIST's pages of `data/forms/` over and over: a tenth of `pages`, and then all, each time as
a run of its own. Peak resident memory of the process that publishes, and of the largest worker; one
worker is the same process. It needs Linux, and the folder that --shared names (default:
$BATCHDIGITS_SHARED, else ../shared).
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from forms import known_form
from support.measure import ROOT, finish, make_parser, make_ready, show, table, target

MOST_GROWTH = 1.05
SECONDS = 0.5  # between two looks at the peaks, which only rise


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__)
    parser.add_argument("--pages", type=int, default=1000, help="default: 1000")
    parser.add_argument("--workers", type=int, default=1, help="default: 1")
    parser.add_argument(
        "--shared",
        type=Path,
        metavar="FOLDER",
        default=Path(os.environ.get("BATCHDIGITS_SHARED") or ROOT.parent / "shared"),
    )
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    forms = (arguments.shared / "data" / "forms").resolve()
    numbers = arguments.pages // 10, arguments.pages
    peaks = {number: _read(forms, number, arguments.workers) for number in numbers}
    rows = [[f"{number:,}", *(f"{mb:.0f}" for mb in peaks[number])] for number in numbers]
    print(table(["pages", "publishing, peak MB", "reading, peak MB"], rows))
    growth = max(many / few for few, many in zip(*peaks.values(), strict=True))
    print(f"10 times the pages: {growth:.3f} times the memory, wanted <= {MOST_GROWTH:g}")
    figures = {
        "pages": arguments.pages,
        "workers": arguments.workers,
        "peak_mb": peaks,
        "growth": round(growth, 4),
        **target(growth, MOST_GROWTH, at_most=True),
    }
    finish("many_pages", figures, save=arguments.save, load_before=before, timed=False)
    return 0


def _read(forms: Path, pages: int, workers: int) -> tuple[float, float]:
    """Read `pages` pages; return the peak MB of the process that publishes, and of a worker."""
    show(f"reading {pages:,} pages")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scans = folder / "scans"
        scans.mkdir()
        filled = itertools.cycle(sorted(forms.glob("page-*.tif")))
        for number in range(pages):
            (scans / f"{number:06}.tif").symlink_to(next(filled))
        template = known_form(forms).template.facts() | {"blank": "blank.tif"}
        (folder / "form.json").write_text(json.dumps(template))
        (folder / "blank.tif").symlink_to(forms / "blank.tif")
        command = [sys.executable, "-m", "batchdigits.forms", "read", str(scans)]
        flags = ["--template", str(folder / "form.json"), "--output", str(folder / "rows.parquet")]
        command += [*flags, "--workers", str(workers), "--json"]
        publishing = reading = 0.0
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            while process.poll() is None:
                time.sleep(SECONDS)
                publishing = max(publishing, _peak(process.pid))
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                pids = children.read_text().split() if children.exists() else []
                reading = max(reading, *map(_peak, pids), 0.0)
            output = process.stdout.read() if process.stdout else ""
    if process.returncode or json.loads(output)["pages_read"] != pages:
        raise SystemExit(f"not all pages were read: {output}")
    return publishing, reading or publishing


def _peak(pid: int | str) -> float:
    """The most memory that a process has held, in MB; 0 once it has ended."""
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) * 1024 / 1e6 if found else 0.0


if __name__ == "__main__":
    sys.exit(main())
