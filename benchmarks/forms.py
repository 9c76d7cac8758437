"""Measure how NIST's handwritten forms are registered, cut and read, beside NIST's two systems.

    python benchmarks/forms.py [--bundle REF] [--degraded] [--pictures FOLDER] [--shared FOLDER]

It needs `data/forms/` in the folder that --shared names (default: $BATCHDIGITS_SHARED, else
../shared): filled pages, the blank form, its fields, and their true digits. They are not in the
repository.

- edits: the least number of digits to insert, delete or replace in each field, summed;
- whole: fields without an edit;
- lost: by how much the number of characters differs from the number of digits, summed: the errors
  of cutting alone;
- accepted: of the digits of the pages and of Semeion together, those that the bundle accepts, and
  those of them that are wrong. It needs a bundle of `train --max-error`; without a threshold all
  that look like digits are accepted;
- with --degraded, the same for the pages turned, shifted, scaled, as a poor JPEG, at 150 dpi, and
  on grey paper with a gradient;
- with --pictures, every field with an edit as a picture, to see whether registration, cutting or
  reading is to blame.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from recipe import Rows, as_crops, load
from support.measure import ROOT, finish, make_parser, make_ready, table, target

from batchdigits.api import Bundle, open_bundle
from batchdigits.errors import BatchdigitsWarning
from batchdigits.forms.pages.page import KnownForm, PageResult, read_page
from batchdigits.forms.registration.sampling import Brightness
from batchdigits.rows.template import Field, Template

MOST_EDITS = 35
MOST_LOST = 0.013
MOST_COST = 0.01  # of the digits, for each way to degrade a page
MOST_SECONDS = 0.5

Answers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of some pages."""

    digits: int
    edits: int
    fields: int
    whole: int
    lost: int
    refused: int
    seconds: float


NOTHING = Figures(0, 0, 0, 0, 0, 0, 0.0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__)
    parser.add_argument("--bundle", metavar="REF", help="default: the bundle inside the package")
    parser.add_argument("--degraded", action="store_true")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    parser.add_argument(
        "--shared",
        type=Path,
        metavar="FOLDER",
        default=Path(os.environ.get("BATCHDIGITS_SHARED") or ROOT.parent / "shared"),
    )
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    warnings.simplefilter("ignore", BatchdigitsWarning)
    folder = arguments.shared / "data" / "forms"
    bundle = open_bundle(arguments.bundle)
    known = known_form(folder)
    keys: dict[str, Answers] = json.loads((folder / "keys.json").read_text())
    nist = json.loads((folder / "nist.json").read_text())
    pages = {name: Image.open(folder / f"{name}.tif") for name in keys}

    total, rows = NOTHING, []
    semeion, digits = load(arguments.shared / "data" / "semeion.npz", 16)
    read_rows, truth = [as_crops(semeion)], digits.tolist()
    for name, page in pages.items():
        figures, answers, result = judged(np.asarray(page), known, bundle, keys[name])
        rows += [
            [name, system, *beside(nist[name][system], keys[name])]
            for system in ("hsfsys1", "hsfsys2")
        ]
        rows.append(
            [name, "batchdigits", str(figures.edits), f"{figures.whole} of {figures.fields}"]
        )
        total = added(total, figures)
        show_edits(name, answers, keys[name], result, arguments.pictures)
        read_rows.append(rows_of(result))
        truth += truth_of(result, keys[name])
    print(table(["page", "read by", "edits", "whole fields"], rows))
    blank = judged(np.asarray(Image.open(folder / "blank.tif")), known, bundle, {})[2]
    read = sum(bool(field.cells) for field in blank.fields)
    share, wrong = accepted(bundle, np.concatenate(read_rows), truth)
    facts = {
        "bundle": bundle.facts,
        "digits": total.digits,
        "edits": total.edits,
        "whole": total.whole,
        "fields": total.fields,
        "lost": total.lost,
        "refused": total.refused,
        "blank_fields_read": read,
        "accepted": round(share, 6),
        "wrong_of_accepted": round(wrong, 6),
        "seconds_per_page": round(total.seconds / len(pages), 3),
        "targets": {
            "edits": target(total.edits, MOST_EDITS, at_most=True),
            "lost": target(total.lost / total.digits, MOST_LOST, at_most=True),
            "blank": target(read, 0, at_most=True),
            "seconds": target(total.seconds / len(pages), MOST_SECONDS, at_most=True),
        },
    }
    print(
        f"{total.edits} edits in {total.digits} digits, {total.whole} of {total.fields} fields "
        f"whole, {total.lost} characters inserted or lost, {total.refused} fields refused, "
        f"{read} of {len(known.printed)} fields of the blank form read, "
        f"{total.seconds / len(pages):.2f} s a page"
    )
    print(
        f"with Semeion's {len(truth):,} digits: {share:.1%} are accepted, {wrong:.2%} of these "
        "are wrong"
    )
    if arguments.degraded:
        facts["degraded"] = degraded(pages, known, bundle, keys, total)
    finish("forms", facts, save=arguments.save, load_before=before)
    return 0


def known_form(folder: Path) -> KnownForm:
    """The template that a user would write for this form."""
    entries = json.loads((folder / "fields.json").read_text())
    fields = tuple(Field(e["field"], tuple(e["box"]), e["digits"]) for e in entries)
    blank = np.asarray(Image.open(folder / "blank.tif"))
    return KnownForm.of(Template(blank.shape[1], blank.shape[0], 300, fields), blank)


def judged(
    page: Brightness, known: KnownForm, bundle: Bundle, key: Answers
) -> tuple[Figures, Answers, PageResult]:
    """Read a page and compare it with what stands on it."""
    started = time.process_time()
    result = read_page(page, [known], None)
    seconds = time.process_time() - started
    answers = answers_of(result, bundle)
    edits = {name: distance(answers[name], text) for name, text in key.items()}
    return (
        Figures(
            digits=sum(map(len, key.values())),
            edits=sum(edits.values()),
            fields=len(key),
            whole=sum(edit == 0 for edit in edits.values()),
            lost=sum(abs(len(answers[name]) - len(text)) for name, text in key.items()),
            refused=sum(field.reason is not None for field in result.fields),
            seconds=seconds,
        ),
        answers,
        result,
    )


def answers_of(result: PageResult, bundle: Bundle) -> Answers:
    """What a bundle reads in each field."""
    rows = rows_of(result)
    read = iter(bundle.predict(rows)["prediction"].to_pylist() if len(rows) else [])
    return {
        field.printed.field.name: "".join(str(next(read)) for _ in field.cells)
        for field in result.fields
    }


def rows_of(result: PageResult) -> Rows:
    """The rows of all characters of a page, (n, 64)."""
    return np.array([cell.pixels for field in result.fields for cell in field.cells])


def truth_of(result: PageResult, key: Answers) -> list[int | None]:
    """The true digit of each character of a page; None in a field with too many or too few."""
    truth: list[int | None] = []
    for field in result.fields:
        text = key[field.printed.field.name]
        cut = len(field.cells)
        truth += map(int, text) if cut == len(text) else [None] * cut
    return truth


def accepted(bundle: Bundle, rows: Rows, truth: Sequence[int | None]) -> tuple[float, float]:
    """The share of rows that a bundle accepts, and the share of those that it reads wrongly."""
    made = bundle.predict(rows)
    pairs = zip(made["prediction"].to_pylist(), truth, strict=True)
    wrong = np.array([read != wanted for read, wanted in pairs])
    kept = np.array(made["decision"].to_pylist()) == "accept"
    return float(kept.mean()), float(wrong[kept].mean()) if kept.any() else 0.0


def beside(read: Answers, key: Answers) -> list[str]:
    """The edits and the whole fields of a system, for the table."""
    edits = [distance(read[name], text) for name, text in key.items()]
    return [str(sum(edits)), f"{sum(edit == 0 for edit in edits)} of {len(key)}"]


def show_edits(
    name: str, answers: Answers, key: Answers, result: PageResult, folder: Path | None
) -> None:
    """Print each field with an edit, and save its characters as a picture."""
    for field in result.fields:
        where = field.printed.field.name
        if answers[where] == key[where]:
            continue
        kind = "reading" if len(answers[where]) == len(key[where]) else "cutting"
        print(f"{name} {where}: {key[where]} read as {answers[where]} ({field.reason or kind})")
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            painted(field).save(folder / f"{name}-{where}.png")


def painted(field: object) -> Image.Image:
    """A field's characters in colours over its picture."""
    picture, printed = field.picture.grey, field.printed  # type: ignore[attr-defined]
    image = np.repeat((255 - picture // 3)[..., None], 3, axis=2)
    colours = [(200, 0, 0), (0, 120, 0), (0, 0, 220), (180, 110, 0), (130, 0, 160), (0, 130, 130)]
    for number, cell in enumerate(field.cells):  # type: ignore[attr-defined]
        left = round((cell.box[0] - printed.left) / printed.step) - 3
        top = round((cell.box[1] - printed.top) / printed.step) - 3
        rows, columns = np.nonzero(cell.picture < 128)
        image[rows + top, columns + left] = colours[number % len(colours)]
    return Image.fromarray(image)


def degraded(
    pages: dict[str, Image.Image],
    known: KnownForm,
    bundle: Bundle,
    keys: dict[str, Answers],
    plain: Figures,
) -> dict[str, dict[str, float]]:
    """Read the pages in each way that scanners spoil them."""
    found = {}
    for how, spoil in WAYS.items():
        total = NOTHING
        for name, page in pages.items():
            figures = judged(spoil(page.convert("L")), known, bundle, keys[name])[0]
            total = added(total, figures)
        cost = (total.edits - plain.edits) / plain.digits
        found[how] = {"edits": total.edits, "whole": total.whole, "cost": round(cost, 4)}
    rows = [
        [
            how,
            str(f["edits"]),
            str(f["whole"]),
            f"{f['cost']:+.1%}",
            "yes" if f["cost"] <= MOST_COST else "no",
        ]
        for how, f in found.items()
    ]
    print(table(["pages", "edits", "whole", "cost", "met"], rows))
    return found


def _turned(degrees: float) -> Callable[[Image.Image], Brightness]:
    return lambda page: np.asarray(page.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=255))


def _scaled(factor: float) -> Callable[[Image.Image], Brightness]:
    def scale(page: Image.Image) -> Brightness:
        size = round(page.width * factor), round(page.height * factor)
        inner = page.resize(size, Image.Resampling.BILINEAR)
        outer = Image.new("L", page.size, 255)
        outer.paste(inner, ((page.width - size[0]) // 2, (page.height - size[1]) // 2))
        return np.asarray(outer)

    return scale


def _shifted(page: Image.Image) -> Brightness:
    return np.asarray(page.rotate(0, translate=(60, -60), fillcolor=255))


def _poor_jpeg(page: Image.Image) -> Brightness:
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=40)
    return np.asarray(Image.open(buffer))


def _coarse(page: Image.Image) -> Brightness:
    return np.asarray(page.resize((page.width // 2, page.height // 2), Image.Resampling.BOX))


def _on_grey(page: Image.Image) -> Brightness:
    lamp = np.linspace(120, 230, page.width)[None, :]
    noise = np.random.default_rng(1).normal(0, 3, (page.height, page.width))
    spoiled = np.asarray(page) / 255 * (lamp - 30) + 30 + noise
    return np.clip(spoiled, 0, 255).astype(np.uint8)


WAYS: dict[str, Callable[[Image.Image], Brightness]] = {
    "turned by 3 degrees": _turned(-3),
    "turned by 3 degrees, the other way": _turned(3),
    "shifted by 60 pixels": _shifted,
    "scaled by -3 %": _scaled(0.97),
    "scaled by 3 %": _scaled(1.03),
    "JPEG of quality 40": _poor_jpeg,
    "150 dpi": _coarse,
    "grey ground with a gradient": _on_grey,
}


def added(one: Figures, other: Figures) -> Figures:
    """The figures of both."""
    return Figures(*(getattr(one, n) + getattr(other, n) for n in Figures.__slots__))


def distance(read: str, key: str) -> int:
    """The edit distance of Levenshtein."""
    before = list(range(len(key) + 1))
    for i, digit in enumerate(read, 1):
        row = [i]
        for j, wanted in enumerate(key, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (digit != wanted)))
        before = row
    return before[-1]


if __name__ == "__main__":
    sys.exit(main())
