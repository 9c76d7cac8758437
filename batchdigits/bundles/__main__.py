"""`python -m batchdigits.bundles`: what is in the store, is it sound, and which one is used."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from typing import Any

from batchdigits.bundles.common import REFERENCE, add_command
from batchdigits.bundles.diff import add_diff
from batchdigits.bundles.export import add_export
from batchdigits.bundles.history import add_history
from batchdigits.bundles.promote import add_promote
from batchdigits.bundles.prune import add_prune
from batchdigits.bundles.rollback import add_rollback
from batchdigits.bundles.sign import add_keygen, add_sign
from batchdigits.bundles.verify import add_verify
from batchdigits.cli.boundary import end, run_command
from batchdigits.cli.flags import make_parser
from batchdigits.cli.terminal import print_json, print_result
from batchdigits.errors import BundleError
from batchdigits.files.digest import short_digest
from batchdigits.store.choice import BundleChoice, open_store
from batchdigits.store.store import Store
from batchdigits.text import table

_LOGGER = logging.getLogger("batchdigits")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(parser(), lambda arguments: arguments.body(arguments), argv)


def parser() -> argparse.ArgumentParser:
    """The parser of `bundles` and its subcommands."""
    top = make_parser(
        "bundles",
        "List, show, check, sign and promote bundles.",
        [
            "python -m batchdigits.bundles list",
            "python -m batchdigits.bundles show digits@production",
            "python -m batchdigits.bundles verify digits@3 /mnt/copy/digits-3.bundle",
            "python -m batchdigits.bundles sign digits@3 --key ops.key",
            "python -m batchdigits.bundles diff digits@2 digits@3 --data labelled.parquet",
            "python -m batchdigits.bundles promote digits@3 --alias production",
            "python -m batchdigits.bundles rollback digits --alias production",
            "python -m batchdigits.bundles export digits@3 --onnx digits.onnx",
        ],
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_list(commands)
    _add_show(commands)
    add_verify(commands)
    add_keygen(commands)
    add_sign(commands)
    add_diff(commands)
    add_promote(commands)
    add_rollback(commands)
    add_history(commands)
    add_prune(commands)
    add_export(commands)
    return top


def _add_list(commands: Any) -> None:
    command = add_command(commands, "list", "every bundle in the store", _list)
    command.add_argument("names", nargs="*", metavar="NAME", help="these names (default: all)")
    command.add_argument("--json", action="store_true", help="one line of JSON a bundle")


def _add_show(commands: Any) -> None:
    command = add_command(commands, "show", "a bundle's model card", _show)
    command.add_argument(
        "reference",
        nargs="?",
        metavar="REF",
        help=f"{REFERENCE} (default: $BATCHDIGITS_BUNDLE, else the bundle inside the package)",
    )
    command.add_argument("--json", action="store_true", help="path, digest and manifest as JSON")


def _list(arguments: argparse.Namespace) -> int:
    store = open_store(arguments.store)
    if arguments.store and not store.folder.is_dir():
        raise BundleError(f"{store.folder}: no such store: give the folder that train wrote to")
    known = store.names()
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        store.resolve(unknown[0])
    if not known:
        _LOGGER.warning("no bundles in %s; `batchdigits train` puts one there", store.folder)
    wanted = [name for name in known if name in arguments.names or not arguments.names]
    entries = [entry for name in wanted for entry in _describe_all(store, name)]
    if arguments.json:
        for entry in entries:
            print_json(entry)
    elif entries:
        print_result(_format_list(entries))
    return BundleError.exit_code if any(entry["error"] for entry in entries) else 0


def _describe_all(store: Store, name: str) -> list[dict[str, Any]]:
    """What `list` says of every bundle of a name; a damaged alias is told and hides none."""
    try:
        aliases, error = store.aliases(name), None
    except BundleError as damage:
        _LOGGER.error("%s", damage)  # noqa: TRY400  # one line is what the reader can use
        aliases, error = {}, str(damage)
    entries = [_describe(store, name, version, aliases) for version in store.versions(name)]
    return [{**entry, "error": entry["error"] or error} for entry in entries]


def _describe(store: Store, name: str, version: int, aliases: dict[str, int]) -> dict[str, Any]:
    """What `list` says of one bundle: its facts, or its error where it is damaged."""
    from batchdigits.archive.bundle_file import read_bundle

    path = store.path(name, version)
    own = [alias for alias, target in aliases.items() if target == version]
    entry = {"name": name, "version": version, "aliases": own, "path": str(path)}
    try:
        bundle = read_bundle(path)
    except BundleError as error:
        _LOGGER.error("%s", error)  # noqa: TRY400  # one line is what the reader can use
        return {**entry, "created": None, "accuracy": None, "digest": None, "error": str(error)}
    facts = bundle.manifest
    shown = {"created": facts.created, "accuracy": facts.accuracy, "digest": bundle.digest}
    return {**entry, **shown, "error": None}


def _format_list(entries: list[dict[str, Any]]) -> str:
    header = ("NAME", "VERSION", "CREATED", "ACCURACY", "ALIASES", "DIGEST")
    rows = [
        (
            entry["name"],
            str(entry["version"]),
            entry["created"] or "damaged",
            "-" if entry["accuracy"] is None else f"{entry['accuracy']:.2%}",
            ", ".join(entry["aliases"]) or "-",
            short_digest(entry["digest"] or "-"),
        )
        for entry in entries
    ]
    return table([header, *rows])


def _show(arguments: argparse.Namespace) -> int:
    bundle = BundleChoice(arguments.reference, arguments.store).load()
    if arguments.json:
        manifest = json.loads(bundle.members["manifest.json"])
        print_json({"path": str(bundle.path), "digest": bundle.digest, "manifest": manifest})
    else:
        print_result(bundle.members["card.md"].decode("utf-8", "replace").rstrip("\n"))
    return 0


if __name__ == "__main__":
    end(main())
