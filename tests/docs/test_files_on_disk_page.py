"""docs/reference/files-on-disk.md: temporary names, locks, and the paths in a store."""

from __future__ import annotations

from pathlib import Path

from pages import code, codes, reference, table

from batchdigits.archive.keys import create_keys, read_private_key
from batchdigits.archive.signing import write_signature
from batchdigits.files.lock import lock_name
from batchdigits.files.names import InputFile, InputFiles
from batchdigits.files.targets import plan_targets
from batchdigits.store.store import Store

PAGE = reference("files-on-disk")


def test_temporary_names_are_all_there() -> None:
    inputs = InputFiles((InputFile(Path("forms.csv"), "csv"),), several=False)
    (targets,) = plan_targets(inputs, None)
    documented = {name for row in table(PAGE, "name", "what") for name in codes(row[0])}
    names = {targets.commit, *targets.leftovers[:2], lock_name(targets.receipt)}
    assert documented == {str(name) for name in names}


def test_a_store_has_the_paths_in_the_table(tmp_path: Path) -> None:
    store = Store(tmp_path)
    during: list[str] = []

    def build(_version: int) -> bytes:
        during.extend(path.name for path in tmp_path.iterdir())
        return b"a bundle"

    path = store.publish("digits", build)
    store.set_alias("digits", "production", 1)
    key = read_private_key(create_keys(tmp_path, "ops").private)
    write_signature(path, b"a bundle", key)
    documented = [code(row[0]) for row in table(PAGE, "path")]
    paths = [path.replace("NAME", "digits").removeprefix("STORE/") for path in documented]
    there = [path for path in paths if (tmp_path / path).is_file()]
    assert there == [path for path in paths if not path.endswith((".tmp", ".lock"))]
    assert [path for path in paths if path.endswith(".lock")] == [
        name for name in during if name.endswith(".lock")
    ]
