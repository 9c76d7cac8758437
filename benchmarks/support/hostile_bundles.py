"""Generators of hostile bundles, aliases and receipts: small files that cost a naive reader much.

Each is the packaged bundle with one member changed, under a manifest that fits. As in
`hostile_inputs.py`, each generator writes its files into an empty folder and returns the words of
the command to run there.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batchdigits.archive.bundle_file import MANIFEST, member_fact
from batchdigits.archive.container import pack, unpack
from batchdigits.engines.onnx.protobuf import field
from support.measure import PACKAGED_BUNDLE, SAMPLE

DOC_STRING = 6
RUN = 300_000_000
PREDICT = ["predict", str(SAMPLE), "--output", "out.csv", "--bundle", "./hostile.bundle"]


def _changed(folder: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> list[str]:
    """Write the packaged bundle after `change` of its manifest and members; return the command."""
    members = unpack(PACKAGED_BUNDLE.read_bytes())
    manifest = json.loads(members.pop(MANIFEST))
    change(manifest, members)
    for name, data in members.items():
        fact = member_fact(data)
        manifest["members"][name] = {"sha256": fact.sha256, "size": fact.size}
    text = f"{json.dumps(manifest)}\n".encode()
    (folder / "hostile.bundle").write_bytes(pack({**members, MANIFEST: text}))
    return PREDICT


def _model(folder: Path, change: Callable[[bytes], bytes]) -> list[str]:
    return _changed(folder, lambda _, m: m.update({"model.onnx": change(m["model.onnx"])}))


def _threshold(folder: Path, value: Any) -> list[str]:
    return _changed(folder, lambda facts, _: facts["thresholds"].update(most_ink=value))


def _reference(folder: Path, change: Callable[[dict[str, Any]], None]) -> list[str]:
    def changed(_: dict[str, Any], members: dict[str, bytes]) -> None:
        document = json.loads(members["reference.json"])
        change(document)
        members["reference.json"] = json.dumps(document).encode()

    return _changed(folder, changed)


def _golden(folder: Path, values: Any, **options: Any) -> list[str]:
    """Golden rows whose first row has a list of `values` in the place of 64 pixels."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def changed(_: dict[str, Any], members: dict[str, bytes]) -> None:
        table = pq.read_table(io.BytesIO(members["golden.parquet"])).slice(0, 1)
        promised = base64.b64encode(table.schema.remove_metadata().serialize()).decode()
        lists = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
        hostile = table.set_column(0, "pixels", lists)
        hostile = hostile.replace_schema_metadata({"ARROW:schema": promised, "tolerance": "1e-4"})
        sink = io.BytesIO()
        pq.write_table(hostile, sink, **options)
        members["golden.parquet"] = sink.getvalue()

    return _changed(folder, changed)


def a_long_text_in_the_model(folder: Path) -> list[str]:
    """Give the model 30 million characters that every name for the loop would be found in."""
    return _model(folder, lambda model: model + field(DOC_STRING, "loop" + "_" * 30_000_000))


def a_model_of_two_formats(folder: Path) -> list[str]:
    """Put the mark of ONNX Runtime's own format in front of a valid model."""
    return _model(folder, lambda model: b"\x32\x06abORTM" + model)


def a_port_that_is_no_text(folder: Path) -> list[str]:
    """Name the model's input in bytes that are no UTF-8."""
    return _model(folder, lambda model: model.replace(b"pixels", b"pix\xff\xfes"))


def golden_rows_of_nulls(folder: Path) -> list[str]:
    """Store 300 million empty pixels of one golden row as a run of a few bytes."""
    import pyarrow as pa

    return _golden(folder, pa.nulls(RUN, pa.float32()), compression="none")


def golden_rows_in_a_dictionary(folder: Path) -> list[str]:
    """Store 30 million equal pixels of one golden row as a dictionary of one."""
    import numpy as np
    import pyarrow as pa

    return _golden(folder, pa.array(np.zeros(RUN // 10, np.float32)), compression="zstd")


def a_reference_of_lists(folder: Path) -> list[str]:
    """Give the reference an unknown key with 20 million empty lists."""
    return _changed(
        folder,
        lambda _, m: m.update(
            {"reference.json": b'{"later":[' + b"[]," * 20_000_000 + b"0]}\n"},
        ),
    )


def a_reference_of_texts(folder: Path) -> list[str]:
    """Give each count of the reference as text, one of them of a million characters."""
    return _reference(
        folder,
        lambda facts: facts.update(
            class_pixel_counts=[[["0" * 1_000_000, *["1"] * 16]] + [["1"] * 17] * 63] * 10
        ),
    )


def a_count_beyond_64_bits(folder: Path) -> list[str]:
    """Give the reference a count of 39 digits."""
    return _reference(folder, lambda facts: facts["class_counts"].__setitem__(0, 10**38))


def a_threshold_of_400_digits(folder: Path) -> list[str]:
    """Give the bundle a threshold that no float holds."""
    return _threshold(folder, 10**399)


def a_threshold_beyond_float32(folder: Path) -> list[str]:
    """Give the bundle a threshold of 1e308."""
    return _threshold(folder, 1e308)


def an_alias_that_moved_30000_times(folder: Path) -> list[str]:
    """Give an alias a history of 30,000 moves, to be read on the way to its version."""
    aliases = folder / "bundles" / "digits" / "aliases"
    aliases.mkdir(parents=True)
    shutil.copy(PACKAGED_BUNDLE, aliases.parent / "digits-3.bundle")
    entries = [{"version": 3, "at": "", "by": "", "action": "promote"}] * 30_000
    (aliases / "production.json").write_text(json.dumps({"history": entries}))
    return ["predict", str(SAMPLE), "--output", "out.csv", "--bundle", "digits@production"]


def _receipt(folder: Path, change: Callable[[dict[str, Any]], None]) -> list[str]:
    """Score the sample, then change the receipt; return the command that verifies the folder."""
    import batchdigits

    batchdigits.score(SAMPLE, output=folder / "out.csv")
    path = folder / "out.receipt.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return ["receipts", "verify", "."]


def a_receipt_of_400_digits(folder: Path) -> list[str]:
    """Give a receipt a count of 400 digits."""
    return _receipt(folder, lambda facts: facts.update(rows_in=10**399))


def a_receipt_of_another_bundle(folder: Path) -> list[str]:
    """Give a receipt's bundle a name with a NUL."""
    return _receipt(folder, lambda facts: facts["bundle"].update(name="a\0b"))


def a_receipt_with_an_odd_encoding(folder: Path) -> list[str]:
    """Give a receipt an encoding that Python lacks."""
    return _receipt(folder, lambda facts: facts["options"].update(encoding="/proc/kmsg"))


KINDS = (
    *(a_long_text_in_the_model, a_model_of_two_formats, a_port_that_is_no_text),
    *(golden_rows_of_nulls, golden_rows_in_a_dictionary),
    *(a_reference_of_lists, a_reference_of_texts, a_count_beyond_64_bits),
    *(a_threshold_of_400_digits, a_threshold_beyond_float32, an_alias_that_moved_30000_times),
    *(a_receipt_of_400_digits, a_receipt_of_another_bundle, a_receipt_with_an_odd_encoding),
)
