"""The bytes of `model.keras`: the file that Keras saves, made repeatable."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

_DATE = (1980, 1, 1, 0, 0, 0)
_SAVED = "1980-01-01@00:00:00"


def keras_bytes(model: Any) -> bytes:
    """Save `model`, which was never compiled, as a `.keras` file.

    The same weights give the same bytes. Keras writes the date into `metadata.json` and to every
    member of its ZIP: both become 1980. It names objects that layers share by their addresses in
    memory: they become numbers.
    """
    with tempfile.TemporaryDirectory(prefix="batchdigits-") as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        saved = path.read_bytes()
    return _repeatable(saved)


def _repeatable(saved: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in sorted(old.namelist()):
            content = old.read(name)
            if name == "metadata.json":
                content = _without_date(content)
            elif name == "config.json":
                content = _with_counted_objects(content)
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o100644 << 16
            new.writestr(entry, content, zipfile.ZIP_STORED)
    return packed.getvalue()


def _without_date(metadata: bytes) -> bytes:
    document = json.loads(metadata)
    document["date_saved"] = _SAVED
    return json.dumps(document, sort_keys=True).encode()


def _with_counted_objects(config: bytes) -> bytes:
    numbers: dict[int, int] = {}

    def counted(node: dict[str, Any]) -> dict[str, Any]:
        if "shared_object_id" in node:
            address = node["shared_object_id"]
            node["shared_object_id"] = numbers.setdefault(address, len(numbers) + 1)
        return node

    return json.dumps(json.loads(config, object_hook=counted)).encode()
