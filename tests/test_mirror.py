"""Tests mirror the rooms: batchdigits/rows/pixels.py is tested by tests/rows/test_pixels.py."""

from __future__ import annotations

import posixpath
from pathlib import Path

from paths import PACKAGE, ROOT

TESTS = ROOT / "tests"

# For modules without a test file of their name: the test file that covers them, why it does, and
# their names, as seen from that file's folder.
ELSEWHERE = """
archive/test_bundle_file.py | a bundle is their only reader | classes strict_json
bundles/test_bundles.py | subcommands are run as people type them | __main__ common contents
bundles/test_promote.py | each of its subcommands has a test file | aliases
bundles/test_signing_commands.py | subcommands are run as people type them | signatures
cli/test_cli.py | what commands share shows at a command | boundary interrupts logs terminal
engines/keras/test_keras_engine.py | only the engine reads model files | hdf5 model_file
engines/onnx/test_onnx_engine.py | a model passes through all of these | protobuf session
engines/test_open.py | every engine keeps it | contract
exports/test_export.py | the subcommand is run as people type it | ../bundles/export
exports/test_mlflow_export.py | a real MLflow loads them | mlflow_folder mlflow_model
files/test_commit.py | receipts and commits name it | written
files/test_streams.py | only streams use it | compression
files/places/test_local.py | every run has one | contract
test_object_storage.py | real servers answer them | files/objects/download
test_object_storage.py | real servers answer them | files/objects/path files/objects/stores
test_object_storage.py | real servers answer them | rows/parquet/stored
monitoring/test_suspicion.py | the verdict rests on them | judge looks ranges
monitoring/test_drift.py | drift is measured by them | counts
rows/csv/test_csv_rows.py | rows are read by it | layout
packing/onnx/test_export.py | every export is tidied | tidy
report/test_run_report.py | named after what it shows | run
report/test_night.py | a page needs all of them | choice digits page receipts works __main__
report/test_training_report.py | named after what it shows | training
fields/test_fields.py | a run passes through all | __main__ allowed assemble cells columns inputs
fields/test_fields.py | a run passes through all | job lengths options runs
forms/pages/test_look.py | each draws what it made or found | drawing ../commands/pages
forms/pages/test_page.py | a page passes through all | field_cells field_picture printed
forms/pages/test_read.py | a run passes through all | known page_rows
forms/registration/test_register.py | registering is what it is for | form
forms/test_cells.py | a run passes through all | crop_source __main__ commands/cells
review/test_apply.py | journals pass through all | labelled receipt verify __main__
review/test_make.py | predictions pass through all | choose fields ../scoring/published
forms/squares/test_source.py | files are read by it | arrow block npy text
spark/test_publish.py | every folder has one | receipt
rows/test_formats.py | what is written is read back | contract csv/format parquet/format
bundles/test_bundles.py | list shows what it describes | ../store/describe
bundles/test_prune.py | prune removes what it finds | ../store/pruning
test_api.py | its functions are called with them | cli/keywords
test_api.py | its keywords become these | rows/memory rows/options
test_main.py | the console script runs it | __main__
test_predict.py | every run uses them | _version images
test_predict.py | the steps of a run are seen from outside | scoring/one_input scoring/outputs
test_predict.py | the steps of a run are seen from outside | scoring/receipt
test_predict.py | the steps of a run are seen from outside | scoring/watch
test_receipts.py | the command replays them | scoring/replay scoring/rescore
training/sweep/test_sweep.py | a small sweep passes through all | picture result search study
training/test_train_job.py | a training passes through all | cross_validation data job networks
training/test_train_job.py | a training passes through all | ../packing/frameworks
training/test_train_job.py | a training passes through all | ../packing/pack ../packing/publish
"""
MODULES = {
    str(path.relative_to(PACKAGE).with_suffix("")): path.relative_to(PACKAGE)
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}


def covered_elsewhere() -> dict[str, str]:
    """The test file that covers each module of `ELSEWHERE`."""
    lines = [line.split(" | ") for line in ELSEWHERE.strip().splitlines()]
    return {
        posixpath.normpath(posixpath.join(posixpath.dirname(test), name)): test
        for test, _, names in lines
        for name in names.split()
    }


def has_test(module: Path) -> bool:
    """A test file of its name, or, where that is the name of many, of its folder's name too."""
    names = (f"test_{module.name}", f"test_{module.parent.name}_{module.name}")
    return any((TESTS / module.with_name(name)).is_file() for name in names)


def test_every_module_has_a_test_file_of_its_name_or_a_reason() -> None:
    covered = covered_elsewhere()
    missing = [n for n, path in MODULES.items() if not has_test(path) and n not in covered]
    assert not missing, "add tests/ROOM/test_NAME.py, or name in ELSEWHERE what covers them"


def test_no_reason_is_out_of_date() -> None:
    covered = covered_elsewhere()
    gone = [name for name in covered if name not in MODULES or has_test(MODULES[name])]
    assert not gone, "remove these from ELSEWHERE"
    assert [test for test in covered.values() if not (TESTS / test).is_file()] == []
