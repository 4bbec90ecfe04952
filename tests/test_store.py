"""The store: whole entries or none, read-only, checked before use, harmless when it fails."""

from __future__ import annotations

import functools
import json
import os
import threading
from pathlib import Path

import pytest

from stilts.errors import UserError
from stilts.provenance import job
from stilts.provenance.code import code_files, digest_of
from stilts.provenance.key import Key, digest_of_parts, read_key
from stilts.provenance.manifest import is_aside, read_manifest, write_manifest
from stilts.provenance.store import Store, leftovers, prunable, remove
from tests.study_case import changed, snakemake

KEY = "ab" * 32


def result(folder: Path, text: str = "weights") -> Path:
    """Write a small finished result with a part in a folder of its own."""
    for name in ("model.bin", "part/data.bin"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text} of {name}")
    write_manifest(folder / "part")
    write_manifest(folder)
    for name in ("run.json", "key.json", "spec.json"):
        (folder / name).write_text("{}")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def test_what_is_kept_comes_back_whole(store, tmp_path):
    made = result(tmp_path / "made")
    assert not store.has(KEY)
    store.keep(KEY, made)
    assert store.has(KEY)
    assert store.take(KEY, tmp_path / "again")
    assert files(tmp_path / "again") == files(made)
    read_manifest(tmp_path / "again" / "manifest.json")
    assert not list((store.root / "tmp").iterdir())


def test_big_files_are_links_and_read_only_what_lies_aside_is_not(store, tmp_path):
    made = result(tmp_path / "made")
    store.keep(KEY, made)
    store.take(KEY, tmp_path / "again")
    for path in (tmp_path / "again").rglob("*"):
        if path.is_file():
            linked = path.samefile(made / path.relative_to(tmp_path / "again"))
            assert linked != is_aside(path.name)
            assert bool(path.stat().st_mode & 0o222) == is_aside(path.name)
    kept = [p for p in (store.place(KEY) / "files").rglob("*") if p.is_file()]
    assert all(not p.stat().st_mode & 0o222 for p in kept)


def test_copies_where_links_are_not_possible(store, tmp_path, monkeypatch):
    def no_link(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    made = result(tmp_path / "made")
    store.keep(KEY, made)
    assert store.take(KEY, tmp_path / "again")
    assert files(tmp_path / "again") == files(made)


@pytest.mark.parametrize("fault", ["other bytes", "longer", "lost", "entry"])
def test_a_damaged_entry_is_set_aside_and_not_given_out(store, tmp_path, capsys, fault):
    store.keep(KEY, result(tmp_path / "made"))
    path = store.place(KEY) / ("entry.json" if fault == "entry" else "files/part/data.bin")
    path.chmod(0o644)
    if fault == "lost":
        path.unlink()
    else:
        text = path.read_text()
        path.write_text("{" if fault == "entry" else text + "x" if fault == "longer" else "W" + text[1:])
    assert not store.take(KEY, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert "set aside" in capsys.readouterr().err
    assert not store.has(KEY)
    assert len(list((store.root / "damaged").iterdir())) == 1
    store.keep(KEY, result(tmp_path / "made again"))
    assert store.take(KEY, tmp_path / "again")


def test_what_cannot_be_set_aside_is_not_said_to_be(store, tmp_path, capsys):
    store.keep(KEY, result(tmp_path / "made"))
    (store.place(KEY) / "files/model.bin").unlink()
    (store.root / "damaged").write_text("in the way")
    assert not store.take(KEY, tmp_path / "again")
    shown = capsys.readouterr().err
    assert "cannot be set aside" in shown
    assert "set aside as" not in shown
    assert store.place(KEY).is_dir()


def test_a_store_that_cannot_be_written_costs_a_message(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "store")
    store.keep(KEY, result(tmp_path / "made"))
    assert "not kept in the store" in capsys.readouterr().err
    assert not store.take(KEY, tmp_path / "again")
    assert store.refusal() == "Not a directory"


def test_a_store_that_can_be_written_is_left_as_it_was(store, tmp_path):
    store.keep(KEY, result(tmp_path / "made"))
    before = sorted(store.root.rglob("*"))
    assert store.refusal() is None
    assert sorted(store.root.rglob("*")) == before


def test_a_run_says_first_that_nothing_will_be_kept(tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = snakemake(tmp_path, "make_world", configfile=changed(tmp_path / "a.yaml", store=f"{tmp_path}/file/store"))
    assert done.returncode == 0, done.stdout
    note = f"note: results will not be kept in the store {tmp_path}/file/store (Not a directory)"
    assert 0 < done.stdout.index(note) < done.stdout.index("Make the mini world")


def test_many_keep_the_same_result_at_once(store, tmp_path, capsys):
    made = [result(tmp_path / f"made{i}") for i in range(8)]
    threads = [threading.Thread(target=store.keep, args=(KEY, folder)) for folder in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.take(KEY, tmp_path / "again")
    assert capsys.readouterr().err == ""
    assert not list((store.root / "tmp").iterdir())


def test_prune_removes_only_what_no_result_is_linked_to_and_nobody_used(store, tmp_path):
    import shutil

    store.keep("a" * 64, result(tmp_path / "in use", "one"))
    store.keep("b" * 64, result(tmp_path / "removed", "two"))
    store.keep("c" * 64, result(tmp_path / "removed too", "three"))
    shutil.rmtree(tmp_path / "removed")
    shutil.rmtree(tmp_path / "removed too")
    long_ago = 1_000_000_000
    for key in ("a" * 64, "b" * 64):
        os.utime(store.place(key) / "entry.json", (long_ago, long_ago))
    assert [e.place.name[0] for e in prunable(store, 30)] == ["b"]
    assert [e.place.name[0] for e in prunable(store, 0)] == ["b", "c"]
    for entry in prunable(store, 30):
        remove(entry)
    assert [store.has(c * 64) for c in "abc"] == [True, False, True]
    assert leftovers(store, 0) == []


# --- keys


def test_a_key_depends_on_every_part_and_on_no_folder(tmp_path):
    parts = ("score", "{}", "c0de", "torch==1", {"data": ["h1", "h2"]})
    others = [
        ("mine", *parts[1:]),
        (parts[0], '{"a":1}', *parts[2:]),
        (*parts[:2], "other", *parts[3:]),
        (*parts[:3], "torch==2", parts[4]),
        (*parts[:4], {"data": ["h2", "h1"]}),
        (*parts[:4], {"dev": ["h1", "h2"]}),
        (*parts[:4], {"data": ["h1"]}),
    ]
    assert len({digest_of_parts(*p) for p in [parts, *others]}) == 1 + len(others)
    files = {"scripts/x.py": "f1"}
    keys = [Key("x", "{}", files, "v", {"data": [(path, "h1")], "none": []}) for path in ("results/a", "other/b")]
    assert keys[0].digest == keys[1].digest == digest_of_parts("x", "{}", digest_of(files), "v", {"data": ["h1"]})


def test_an_edited_key_is_refused(tmp_path):
    key = Key("x", '{"a":1}', {"scripts/x.py": "f1"}, "torch==1", {"data": [("results/a/manifest.json", "h")]})
    (tmp_path / "key.json").write_text(key.dump())
    assert read_key(tmp_path)["spec"] == {"a": 1}
    raw = json.loads(key.dump()) | {"spec": {"a": 2}}
    (tmp_path / "key.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match="does not give its own digest"):
        read_key(tmp_path)
    (tmp_path / "key.json").write_text("{")
    assert read_key(tmp_path) is None


# --- a real script with a store


@pytest.fixture
def randomise(tmp_path, monkeypatch):
    """Return a function that runs `scripts.randomise` with a store, and the log it left."""
    from scripts import randomise
    from stilts.model.checkpoint import save_encoder
    from tests.engine_case import make_tokenizer, random_encoder, tiny_config

    make_tokenizer(tmp_path / "encoder")
    save_encoder(tmp_path / "encoder", random_encoder(tiny_config()))
    encoder = write_manifest(tmp_path / "encoder")
    monkeypatch.setenv("STILTS_STORE", str(tmp_path / "store"))

    def run(folder: str, *more: str, seed: int = 1, status: int = 0, work=randomise.work) -> Path:
        out = tmp_path / folder / "manifest.json"
        argv = ["--spec", json.dumps({"seed": seed}), "--encoder", str(encoder), "--output", str(out), *more]
        assert job.run_job(work, {"encoder": ""}, argv) == status
        return out

    return run


def reused(manifest: Path) -> bool:
    return json.loads((manifest.parent / "run.json").read_text()).get("reused", False)


def test_a_second_job_takes_the_result_of_the_first(randomise, capsys):
    first, second, other = randomise("a"), randomise("b"), randomise("c", seed=2)
    assert [reused(m) for m in (first, second, other)] == [False, True, False]
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()
    assert capsys.readouterr().out.count("reused ") == 1


def test_other_versions_than_the_locks_are_not_kept(randomise, monkeypatch, capsys):
    monkeypatch.setattr(job, "unlocked", lambda rule: [("torch", "9.9", "2.0")])
    assert [reused(randomise(name)) for name in "ab"] == [False, False]
    assert "torch 9.9 runs, 2.0 is locked" in capsys.readouterr().err


def test_code_that_changes_while_a_job_runs_is_not_kept(randomise, monkeypatch, capsys):
    stamps = iter(range(4))
    monkeypatch.setattr(job, "_stamps", lambda code: next(stamps))
    assert [reused(randomise(name)) for name in "ab"] == [False, False]
    assert "the code changed while the job ran" in capsys.readouterr().err


def test_code_that_changes_while_a_job_waits_is_not_taken_for_what_ran(randomise, tmp_path, monkeypatch, capsys):
    """The key tells of the code as it was when the job loaded it."""
    code = tmp_path / "code.py"
    code.write_text("A = 1")
    monkeypatch.setattr(job, "ROOT", tmp_path)
    monkeypatch.setattr(job, "code_files", lambda module: {"code.py": code.read_text()})
    claim = job._claim

    def wait(folder: Path) -> int:
        code.write_text("A = 22")
        return claim(folder)

    monkeypatch.setattr(job, "_claim", wait)
    assert read_key(randomise("a").parent)["files"] == {"code.py": "A = 1"}
    assert "the code changed while the job ran" in capsys.readouterr().err
    assert not list(tmp_path.glob("store/??"))


def flip(path: Path) -> None:
    """Change the last byte of a file."""
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def test_a_damaged_input_is_named_before_anything_is_computed(randomise, tmp_path, capsys):
    flip(tmp_path / "encoder/model.safetensors")
    out = randomise("a", status=2)
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: {tmp_path / 'encoder/model.safetensors'} is damaged")
    assert shown.count("\n") == 1
    assert not out.parent.exists()
    assert not list(tmp_path.glob("store/??"))


@pytest.mark.parametrize(
    ("change", "status"), [(flip, 2), (Path.unlink, 2), (Path.touch, 0)], ids=["flipped", "gone", "touched"]
)
@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_an_input_that_changes_while_it_is_read(randomise, tmp_path, capsys, change, status, name):
    from scripts.randomise import work

    @functools.wraps(work)
    def while_it_works(*given):
        change(tmp_path / "encoder" / name)
        return work(*given) if change is Path.touch else {}

    out = randomise("a", work=while_it_works, status=status)
    assert out.exists() == (status == 0) == bool(list(tmp_path.glob("store/??")))
    assert (f"{name} changed while the job read it" in capsys.readouterr().err) == (status == 2)


@pytest.mark.parametrize("loss", ["damaged", "pruned"])
def test_a_job_that_asked_for_no_gpu_does_not_compute_what_the_store_lost(
    randomise, tmp_path, monkeypatch, capsys, loss
):
    """As the workflow asks: none where the store holds the result, else what the experiment says."""
    monkeypatch.setenv("STILTS_GPUS", "1")
    first = randomise("a", "--gpus", "1")
    store = Store(tmp_path / "store")
    (entry,) = store.entries()
    if loss == "damaged":
        (entry.place / "files/model.safetensors").unlink()
    else:
        remove(entry)
    capsys.readouterr()
    assert not randomise("b", "--gpus", "0", status=2).exists()
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "no longer holds this result, for which no GPU was asked" in errors[0]
    assert not store.has(entry.place.name)  # the next plan asks for one
    assert randomise("b", "--gpus", "1").read_bytes() == first.read_bytes()
    monkeypatch.setenv("STILTS_GPUS", "0")
    assert not reused(randomise("c", "--gpus", "0", seed=2))


def test_the_key_beside_a_result_is_the_plans(randomise):
    out = randomise("a")
    key = read_key(out.parent)
    assert key["files"] == code_files("scripts.randomise")
    assert key["inputs"]["encoder"][0][0].endswith("encoder/manifest.json")
    assert "key.json" not in read_manifest(out)["files"]
