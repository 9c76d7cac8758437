"""Faults of bundles, entries 38 to 44: damaged, hostile, newer, exchanged, swapped, raced."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import fault_hostile as hostile
import joblib
import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from fault_bundles import sound_bundle
from fault_data import digit_table
from fault_runs import Ran, measured, predict, predict_here
from fault_watch import Seen, watch
from onnx import helper, numpy_helper
from paths import ROOT
from sklearn.preprocessing import StandardScaler
from small_bundles import make_model

from batchdigits.archive import bundle_file as bundle_module
from batchdigits.archive.bundle_file import build_bundle, read_bundle
from batchdigits.archive.classes import Classes
from batchdigits.archive.container import pack, unpack
from batchdigits.archive.keys import create_keys, read_private_key
from batchdigits.archive.signing import write_signature
from batchdigits.bundles import __main__ as bundles
from batchdigits.store.store import Store

Refused = Callable[..., str]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "in.parquet"
    pq.write_table(digit_table(200), path)
    return path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The path of the bundle under test; at first a sound one."""
    return Path(shutil.copy(hostile.REAL, tmp_path / "digits-1.bundle"))


@pytest.fixture
def score(rows: Path, bundle: Path) -> Callable[..., Ran]:
    """Score the rows through the bundle."""
    return lambda *flags: predict_here(rows, "--bundle", bundle, "--overwrite", *flags)


@pytest.fixture
def refused(score: Callable[..., Ran], bundle: Path) -> Refused:
    """Put bytes in the bundle's place: nothing is written, the code is 78. Returns the one line."""

    def refused(data: bytes | None, *flags: str) -> str:
        if data is not None:
            bundle.write_bytes(data)
        before = sorted(bundle.parent.iterdir())
        ran = score(*flags)
        assert (ran.code, ran.stdout) == (78, ""), ran.stderr
        assert sorted(bundle.parent.iterdir()) == before
        return ran.error

    return refused


@pytest.fixture
def signed(tmp_path: Path, bundle: Path) -> tuple[str, ...]:
    """Sign the bundle as it is; return flags that require just that key."""
    folder = tmp_path / "trusted"
    folder.mkdir(mode=0o755)
    keys = create_keys(tmp_path, "ops")
    shutil.copy(keys.public, folder)
    write_signature(bundle, bundle.read_bytes(), read_private_key(keys.private))
    return ("--require-signature", "--trusted-keys", str(folder))


# 38


def member_places() -> Iterator[tuple[str, int]]:
    """The first, a middle and the last byte of each member, and of the bytes between members."""
    data, offset = hostile.REAL.read_bytes(), 0
    for name, content in sorted(unpack(data).items()):
        begin = offset + 30 + len(name)
        yield f"header of {name}", offset + 14
        for place in (0, len(content) // 2, len(content) - 1):
            yield f"{name} at {place}", begin + place
        offset = begin + len(content)
    yield "directory", offset + 20
    yield "end", len(data) - 4


PLACES = dict(member_places())


@pytest.mark.parametrize("place", PLACES)
def test_38_one_flipped_bit_anywhere_is_refused(place: str, refused: Refused) -> None:
    data = bytearray(hostile.REAL.read_bytes())
    data[PLACES[place]] ^= 0x10
    assert "digits-1.bundle: " in refused(bytes(data))


def test_38_nothing_of_a_damaged_bundle_is_parsed(bundle: Path, rows: Path) -> None:
    """The modules that read models are not even imported."""
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(data)
    script = (
        "import sys; from batchdigits import predict; code = predict.main(sys.argv[1:]); "
        "print(code, *{'onnxruntime', 'joblib', 'pickle', 'pyarrow.parquet'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script, rows, "--bundle", bundle]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split()[0] == "78"
    assert "onnxruntime" not in done.stdout


@pytest.mark.parametrize("name", sorted(unpack(hostile.REAL.read_bytes())))
def test_38_a_missing_member_is_refused(name: str, refused: Refused) -> None:
    members = unpack(hostile.REAL.read_bytes())
    del members[name]
    assert f"no member {name}" in refused(pack(members))


def test_38_an_extra_member_is_refused(refused: Refused) -> None:
    """Whether the manifest knows it or not."""
    members = unpack(hostile.REAL.read_bytes())
    assert "members that format 1 does not know: setup.py" in refused(
        pack({**members, "setup.py": b"x"})
    )
    manifest = json.loads(members["manifest.json"])
    manifest["members"]["setup.py"] = manifest["members"]["card.md"]
    listed = {**members, "setup.py": members["card.md"]}
    listed["manifest.json"] = json.dumps(manifest).encode()
    assert "setup.py" in refused(pack(listed))


@pytest.mark.parametrize(
    "name", ["/etc/cron.d/x", "../x", "a/../../x", "a\\..\\x", "C:x", "model.onnx/", "MODEL.ONNX"]
)
def test_38_a_member_with_the_name_of_another_place_is_refused(name: str, refused: Refused) -> None:
    """Absolute, with `..`, in a folder: as a ZIP tool writes it, next to all the right ones."""
    members = unpack(hostile.REAL.read_bytes())
    refused(hostile.zipped(*sorted([*members.items(), (name, b"x")])))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_38_a_doubled_member_is_refused(refused: Refused) -> None:
    """Two parsers could take a different one; also if only one of the two is in the directory."""
    entries = sorted(unpack(hostile.REAL.read_bytes()).items())
    for twin in (entries[5], ("model.onnx", b"other")):
        assert "twice" in refused(hostile.zipped(*entries, twin))
    data = pack(dict(entries))
    hidden = zipfile.ZipFile(io.BytesIO(hostile.zipped(("model.onnx", b"other"))))
    header = hidden.fp.read(30 + len("model.onnx") + 5)  # type: ignore[union-attr]
    refused(header + data)


def test_38_a_linked_member_is_refused(refused: Refused) -> None:
    entries = unpack(hostile.REAL.read_bytes())
    del entries["card.md"]
    refused(hostile.zipped(hostile.linked("card.md", "/etc/passwd"), *sorted(entries.items())))


def test_38_what_is_no_plain_file_is_refused(
    bundle: Path, refused: Refused, tmp_path: Path
) -> None:
    """A link, a folder, a pipe without a writer, a device: predict waits for none of them."""
    target = bundle.rename(tmp_path / "elsewhere.bundle")
    bundle.symlink_to(target)
    assert f"symbolic link, and bundles are opened without following one: give {target}" in refused(
        None
    )
    bundle.unlink()
    bundle.mkdir()
    assert "is a folder" in refused(None)
    bundle.rmdir()
    os.mkfifo(bundle)
    assert "is a FIFO or a device" in refused(None)
    bundle.unlink()
    assert "no such file" in refused(None)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"format": 1', '"format": 1, "format": 2', "has a key twice: format"),
        ('"name": "digits"', '"name": "digits", "name": "evil"', "has a key twice: name"),
        ('"sha256":', '"sha256": "", "sha256":', "has a key twice: sha256"),
        ('"format": 1', '"format": NaN', "holds NaN"),
        ('"format": 1', '"format": ' + "[" * 50_000 + "]" * 50_000, "not JSON"),
        ('"format": 1', '"format": ' + "1" * 5000, "a number of 5000 digits"),
    ],
)
def test_38_a_manifest_that_means_two_things_is_refused(
    old: str, new: str, told: str, refused: Refused
) -> None:
    """Only the manifest itself holds its hash, so everything else is right here."""
    assert told in refused(hostile.with_manifest_text(lambda text: text.replace(old, new, 1)))


def test_38_a_manifest_full_of_doubled_keys_is_refused_at_once(refused: Refused) -> None:
    """A hundred thousand doubled keys are counted, not searched for one by one."""
    many = ", ".join(f'"{i}": 0' for i in [*range(40_000), *range(40_000)])
    started = time.monotonic()
    line = refused(hostile.with_manifest_text(lambda _: f"{{{many}}}"))
    assert "and 39980 more" in line
    assert time.monotonic() - started < 10


def bomb(size: int) -> bytes:
    """Megabytes that decompress to gigabytes."""
    sink = io.BytesIO()
    with (
        zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("model.onnx", "w") as file,
    ):
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return sink.getvalue()


@pytest.mark.slow
def test_38_a_bomb_takes_no_memory(bundle: Path, rows: Path) -> None:
    """Compressed, inside another archive, with false sizes, and as a file that is too large."""
    exploding = bomb(1 << 30)
    real = hostile.REAL.read_bytes()
    for data in (
        exploding,
        hostile.zipped(("model.keras", exploding)),
        hostile.lying_about("model.onnx", 0xFFFFFF00, real),
        hostile.lying_about("model.onnx", 1, real),
        real[:22] + b"\xff\xff\xff\x7f\xff\xff\xff\x7f" + real[30:],
    ):
        bundle.write_bytes(data)
        ran = measured(rows, "--bundle", bundle)
        assert ran.code == 78, ran.stderr
        assert ran.peak_mb < 200
    with bundle.open("wb") as file:
        file.truncate(1 << 40)
    ran = measured(rows, "--bundle", bundle)
    assert "more than the 67108864 allowed" in ran.error
    assert ran.peak_mb < 200


# 39


def onnx_cases(tmp_path: Path) -> dict[str, bytes]:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(256)) * 500)
    graphs = hostile.onnx_graphs(secret)
    return {what: hostile.rehashed(model__onnx=data) for what, data in graphs.items()}


def keras_cases(tmp_path: Path) -> dict[str, bytes]:
    """Every hostile member that only the keras engine reads, by its kind."""
    ran = tmp_path / "ran"
    cases = {}
    for what, data in hostile.pickles(ran).items():
        cases[f"scaler, {what}"] = hostile.rehashed(scaler__joblib=data)
        cases[f"binarizer, {what}"] = hostile.rehashed(label_binarizer__joblib=data)
    for what, data in hostile.odd_scalers().items():
        cases[f"scaler, {what}"] = hostile.rehashed(scaler__joblib=data)
    for what, data in hostile.odd_binarizers().items():
        cases[f"binarizer, {what}"] = hostile.rehashed(label_binarizer__joblib=data)
    for what, data in hostile.keras_archives(ran).items():
        cases[f"Keras, {what}"] = hostile.rehashed(model__keras=data)
    return cases


@pytest.mark.filterwarnings("ignore")
def test_39_the_pickles_do_harm_where_nobody_stops_them(tmp_path: Path) -> None:
    """Otherwise the tests below would prove nothing."""
    ran = tmp_path / "ran"
    for what, data in hostile.pickles(ran).items():
        # An error after the harm does not matter.
        with suppress(ValueError, TypeError, AttributeError, KeyError, EOFError):
            joblib.load(io.BytesIO(data))
        assert ran.exists(), what
        ran.unlink()


def test_39_evil_graphs_are_refused(tmp_path: Path, refused: Refused) -> None:
    """External data anywhere, foreign operators, other formats: refused by the default engine."""
    for what, data in onnx_cases(tmp_path).items():
        assert "model.onnx " in refused(data), what


@pytest.mark.filterwarnings("ignore")
def test_39_evil_members_are_refused_by_the_keras_engine(tmp_path: Path, refused: Refused) -> None:
    """The message names the member; one that is odd but runs nothing ends with 78 too."""
    members = {"scaler": "scaler.joblib", "binarizer": "binarizer.joblib", "Keras": "model.keras"}
    for what, data in keras_cases(tmp_path).items():
        line = refused(data, "--engine", "keras")
        named = members[what.split(",")[0]] in line
        assert named or "golden rows differ with the keras engine" in line, what
        assert not (tmp_path / "ran").exists(), what


def test_39_the_default_engine_never_opens_them(
    tmp_path: Path, bundle: Path, score: Callable[..., Ran]
) -> None:
    """It scores, because everything that it needs is in the graph."""
    ran = tmp_path / "ran"
    for data in hostile.pickles(ran).values():
        bundle.write_bytes(
            hostile.rehashed(scaler__joblib=data, label_binarizer__joblib=data, model__keras=data)
        )
        assert score().code == 0
        assert not ran.exists()


def test_39_the_signature_refuses_them_first(
    tmp_path: Path, refused: Refused, signed: tuple[str, ...]
) -> None:
    """Whatever is inside, with either engine: only the bytes are looked at."""
    pickle = hostile.rehashed(scaler__joblib=next(iter(hostile.pickles(tmp_path / "ran").values())))
    for data in (*onnx_cases(tmp_path).values(), pickle, b"", b"PK\x03\x04"):
        for engine in ("onnx", "keras"):
            line = refused(data, *signed, "--engine", engine)
            assert "has other content than key sha256:" in line
    (tmp_path / "digits-1.bundle.sig").unlink()
    assert "is not signed" in refused(pickle, *signed)


def watched(
    engine: str, folder: Path, cases: dict[str, bytes], before: str = ""
) -> tuple[Seen, dict[str, Seen]]:
    """The system calls of a second sound run, and of the hostile runs after it."""
    sound = [hostile.rehashed(), hostile.rehashed(card__md=b"another")]
    paths = [folder / f"{number}.bundle" for number in range(len(cases) + len(sound))]
    for path, data in zip(paths, [*sound, *cases.values()], strict=True):
        path.write_bytes(data)
    pq.write_table(digit_table(200), folder / "in.parquet")
    seen = watch(engine, folder / "in.parquet", paths, before)
    _, second, *others = (seen[path.name] for path in paths)
    return second, dict(zip(cases, others, strict=True))


PROCESSORS = "/sys/devices/system/cpu/"


@pytest.mark.strace
@pytest.mark.parametrize(("engine", "make"), [("onnx", onnx_cases), ("keras", keras_cases)])
@pytest.mark.filterwarnings("ignore")
def test_39_no_process_is_started_and_no_other_file_opened(
    engine: str, make: Callable[[Path], dict[str, bytes]], tmp_path: Path
) -> None:
    """By the system calls, compared with a sound run: nothing is new except its own file."""
    sound, evil = watched(engine, tmp_path, make(tmp_path))
    assert (sound.code, sound.started) == (0, [])
    assert len(sound.opened) > 5
    assert len(evil) > 10
    for what, seen in evil.items():
        assert (seen.code, seen.started) == (78, []), what
        # A thread of TensorFlow asks for the processors, at any time: that tells nobody anything.
        new = {path for path in seen.opened - sound.opened if not path.startswith(PROCESSORS)}
        assert {path for path in new if not path.endswith(".bundle")} == set(), what
    assert not (tmp_path / "ran").exists()


NO_ALLOW_LIST = """
import io, joblib.numpy_pickle
from batchdigits.engines.keras import pickles as joblib_members
joblib_members._make_unpickler = lambda data, _: joblib.numpy_pickle.NumpyUnpickler(
    "", io.BytesIO(data), ensure_native_byte_order=True
)
"""
NO_LOOK_AT_THE_GRAPH = """
from batchdigits.engines.onnx import session as onnx
onnx.check_onnx_graph = lambda _: None
"""


@pytest.mark.strace
@pytest.mark.filterwarnings("ignore")
def test_39_the_watcher_sees_what_happens_without_the_defences(tmp_path: Path) -> None:
    """One case starts a process, the other opens the file: so the test above can fail."""
    pickles = {"evil": keras_cases(tmp_path)["scaler, os.system"]}
    _, seen = watched("keras", tmp_path, pickles, NO_ALLOW_LIST)
    assert seen["evil"].started
    assert (tmp_path / "ran").exists()
    graphs = {"evil": onnx_cases(tmp_path)["a file in the folder"]}
    sound, seen = watched("onnx", tmp_path, graphs, NO_LOOK_AT_THE_GRAPH)
    assert any(path.endswith("secret") for path in seen["evil"].opened - sound.opened)


# 40


def test_40_a_newer_format_names_who_reads_it(refused: Refused) -> None:
    """Whatever else has changed in the manifest."""

    def newer(text: str) -> str:
        found = json.loads(text)
        return json.dumps({"format": 2, "reader": "batchdigits 0.9 or later", "x": found["name"]})

    line = refused(hostile.with_manifest_text(newer))
    assert "is of bundle format 2, this batchdigits reads up to 1" in line
    assert "batchdigits 0.9 or later reads it" in line


# 41

OLD = {"libraries": {"scikit-learn": "0.24.2", "keras": "2.4.3"}}


def test_41_predict_does_not_care_what_it_was_made_with(
    bundle: Path, score: Callable[..., Ran], tmp_path: Path
) -> None:
    assert score().code == 0
    before = (tmp_path / "in.predictions.parquet").read_bytes()
    bundle.write_bytes(hostile.with_facts(**OLD))
    ran = score()
    assert (ran.code, ran.stderr) == (0, "")
    assert (tmp_path / "in.predictions.parquet").read_bytes() == before


def test_41_the_keras_engine_says_so_and_goes_by_the_golden_rows(
    bundle: Path, score: Callable[..., Ran]
) -> None:
    """Right rows: scored, with a warning for each library. Wrong rows: refused, as always."""
    bundle.write_bytes(hostile.with_facts(**OLD))
    ran = score("--engine", "keras")
    assert ran.code == 0
    told = [line.split(": ", 2)[2] for line in ran.stderr.splitlines()]
    assert [line.partition(", here is")[0] for line in told] == [
        "the bundle was made with scikit-learn 0.24.2",
        "the bundle was made with keras 2.4.3",
    ]
    manifest, members = hostile.real_members()
    members["scaler.joblib"] = hostile.dumped(other_scaler())
    bundle.write_bytes(build_bundle(replace(manifest, **OLD), members))
    ran = score("--engine", "keras")
    assert (ran.code, "golden rows differ" in ran.stderr) == (78, True)


# 42


def other_scaler() -> StandardScaler:
    return StandardScaler().fit(np.random.default_rng(7).integers(0, 9, (500, 64)))


def test_42_permuted_classes_are_caught(refused: Refused) -> None:
    """Every hash is right, and so is every probability."""
    line = refused(hostile.with_facts(classes=Classes("int64", (1, 0, *range(2, 10)))))
    assert "golden rows differ with the onnx engine" in line or "classes" in line
    members = unpack(hostile.REAL.read_bytes())
    reference = json.loads(members["reference.json"])
    reference["classes"][:2] = [1, 0]
    manifest, found = hostile.real_members()
    found["reference.json"] = json.dumps(reference).encode()
    swapped = replace(manifest, classes=Classes("int64", (1, 0, *range(2, 10))))
    assert "golden rows differ" in refused(build_bundle(swapped, found))


def test_42_another_network_is_caught(refused: Refused) -> None:
    """One with the right ports, even if it is as accurate."""
    other = make_model(10, seed=3).SerializeToString()
    assert "golden rows differ" in refused(hostile.rehashed(model__onnx=other))


def test_42_a_graph_that_names_another_class_than_its_best_is_caught(
    refused: Refused, tmp_path: Path
) -> None:
    """Its probabilities are right, but it reports another class than the most probable."""

    def lie(model: onnx.ModelProto) -> onnx.ModelProto:
        graph = model.graph
        node = next(node for node in graph.node if "best" in node.output)
        node.output[list(node.output).index("best")] = "honest"
        graph.initializer.append(numpy_helper.from_array(np.array(3, np.int64), "three"))
        graph.initializer.append(numpy_helper.from_array(np.array(1, np.int64), "one"))
        graph.node.append(helper.make_node("Add", ["honest", "one"], ["next"]))
        graph.node.append(helper.make_node("Mod", ["next", "three"], ["best"]))
        return model

    honest = sound_bundle(make_model(best=True))
    members = unpack(honest)
    manifest = read_bundle(_written(tmp_path / "honest.bundle", honest)).manifest
    members["model.onnx"] = lie(make_model(best=True)).SerializeToString()
    del members["manifest.json"]
    assert "golden rows differ" in refused(build_bundle(manifest, members))


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_42_another_scaler_is_caught_by_the_keras_engine_and_by_the_signature(
    refused: Refused, score: Callable[..., Ran], signed: tuple[str, ...]
) -> None:
    """The default engine has the right scaler in its graph, and scores."""
    data = hostile.rehashed(scaler__joblib=hostile.dumped(other_scaler()))
    assert "golden rows differ with the keras engine" in refused(data, "--engine", "keras")
    assert "has other content than key" in refused(data, *signed)
    assert score().code == 0


# 43


def evil_twin() -> bytes:
    """A bundle that is consistent and calls every 0 a 1: its golden rows say so too."""
    model = make_model(3, seed=9)
    return sound_bundle(model)


def test_43_what_was_checked_is_what_is_used(
    bundle: Path, score: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A rename exchanges the file right after the check of the signature."""
    good = read_bundle(bundle).digest
    twin = _written(tmp_path / "twin", evil_twin())
    real = bundle_module.check_signature

    def check_and_swap(*arguments: object) -> str | None:
        found = real(*arguments)  # type: ignore[arg-type]
        twin.replace(bundle)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(bundle_module, "check_signature", check_and_swap)
        ran = score("--expect-digest", good)
    assert ran.code == 0
    assert read_bundle(bundle).digest != good
    receipt = json.loads((tmp_path / "in.receipt.json").read_text())
    assert receipt["bundle"]["digest"] == good
    scored = (tmp_path / "in.predictions.parquet").read_bytes()
    shutil.copy(hostile.REAL, bundle)
    assert score().status == "unchanged"
    assert (tmp_path / "in.predictions.parquet").read_bytes() == scored


def test_43_a_bundle_that_is_swapped_all_the_time_scores_as_itself_or_not_at_all(
    bundle: Path, score: Callable[..., Ran], signed: tuple[str, ...], tmp_path: Path
) -> None:
    """Sixty runs while a thread renames one bundle over the other."""
    good = read_bundle(bundle).digest
    contents = [bundle.read_bytes(), evil_twin()]
    done = threading.Event()

    def swap() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            _written(tmp_path / "next", contents[turn % 2]).replace(bundle)

    swapper = threading.Thread(target=swap)
    swapper.start()
    codes = []
    try:
        for _ in range(60):
            (tmp_path / "in.receipt.json").unlink(missing_ok=True)
            ran = score(*signed)
            codes.append(ran.code)
            if ran.code == 0:
                assert ran.summary["bundle"]["digest"] == good
            else:
                assert "has other content than key" in ran.error
    finally:
        done.set()
        swapper.join()
    assert set(codes) == {0, 78}


# 44

_EXPORT = """
import sys
from dataclasses import replace
from batchdigits.archive.bundle_file import build_bundle, read_bundle
from batchdigits.store.store import Store
store, source, count = sys.argv[1:]
bundle = read_bundle(source)
members = {name: data for name, data in bundle.members.items() if name != "manifest.json"}
for _ in range(int(count)):
    path = Store(store).publish(
        "digits",
        lambda version: build_bundle(replace(bundle.manifest, version=version), members),
    )
    print(path.name, flush=True)
"""


def export(folder: Path, count: int) -> subprocess.Popen[str]:
    """A process that publishes real bundles and prints the name of each."""
    command = [sys.executable, "-c", _EXPORT, folder, hostile.REAL, str(count)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, env=environment, text=True
    )


def assert_store_is_whole(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Every version can be read and is the one that its name says; no half file exists."""
    versions = store.versions("digits")
    digests = set()
    for version in versions:
        found = read_bundle(store.path("digits", version))
        assert found.manifest.version == version
        digests.add(found.digest)
    assert len(digests) == len(versions)
    capsys.readouterr()
    references = [f"digits@{version}" for version in versions[-3:]]
    assert bundles.main(["verify", *references, "--store", str(store.folder)]) == 0


def test_44_exports_that_race_lose_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three processes, one store: each has its own versions, and no number is skipped."""
    store = Store(tmp_path / "store")
    racers = [export(store.folder, 8) for _ in range(3)]
    printed = [racer.communicate(timeout=120)[0].split() for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 3
    assert [len(names) for names in printed] == [8] * 3
    names = {f"digits-{version}.bundle" for version in range(1, 25)}
    assert {name for names in printed for name in names} == names
    assert_store_is_whole(store, capsys)


def test_44_an_export_that_is_killed_leaves_no_half_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: Path
) -> None:
    """Every version that a killed process reported exists while another goes on."""
    store = Store(tmp_path / "store")
    other = export(store.folder, 30)
    said = []
    for attempt in range(6):
        victim = export(store.folder, 1000)
        assert victim.stdout is not None
        said.append(victim.stdout.readline().strip())
        time.sleep(0.003 * attempt)
        victim.send_signal(signal.SIGKILL)
        said += victim.communicate(timeout=60)[0].split()
    said += other.communicate(timeout=120)[0].split()
    assert other.returncode == 0
    assert len(set(said)) == len(said)
    there = {store.path("digits", version).name for version in store.versions("digits")}
    assert set(said) <= there
    assert_store_is_whole(store, capsys)
    ran = predict(rows, "--bundle", "digits", "--store", store.folder)
    assert ran.summary["bundle"]["version"] == str(store.versions("digits")[-1])
