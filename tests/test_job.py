"""What every script shares: manifests, the clean output folder, readable failures, run.json."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from stilts.errors import UserError
from stilts.provenance.job import run_job
from stilts.provenance.manifest import canonical, dump_json, read_manifest, sha256, write_manifest

ROOT = Path(__file__).resolve().parents[1]


def fill(folder: Path, names: list[str]) -> Path:
    """Write small files in the order given."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    return folder


# --- manifests


def test_equal_content_gives_equal_bytes(tmp_path):
    names = ["b.txt", "a.txt", "sub/c.txt"]
    one = write_manifest(fill(tmp_path / "one", names), {"rows": 3, "languages": ["é"]})
    two = write_manifest(fill(tmp_path / "two", names[::-1]), {"languages": ["é"], "rows": 3})
    (tmp_path / "two" / "run.json").write_text("{}")
    os.utime(tmp_path / "two" / "a.txt", (0, 0))
    assert (
        one.read_bytes() == two.read_bytes() == write_manifest(two.parent, {"rows": 3, "languages": ["é"]}).read_bytes()
    )
    manifest = read_manifest(one)
    assert list(manifest["files"]) == ["a.txt", "b.txt", "sub/c.txt"]
    assert manifest["files"]["a.txt"] == {"bytes": 16, "sha256": sha256(one.parent / "a.txt")}
    assert str(tmp_path) not in one.read_text()


@pytest.mark.parametrize("text", ["Content of a.txt", "content of a.tx"])
def test_another_content_gives_another_manifest(tmp_path, text):
    one = write_manifest(fill(tmp_path / "one", ["a.txt"])).read_bytes()
    (fill(tmp_path / "two", ["a.txt"]) / "a.txt").write_text(text)
    assert write_manifest(tmp_path / "two").read_bytes() != one


@pytest.mark.parametrize("fault", ["missing", "short", "folder", "no manifest", "cut", "no json", "a list"])
def test_a_manifest_that_does_not_hold_is_one_message(tmp_path, fault):
    path = write_manifest(fill(tmp_path / "d", ["a.txt"]))
    target = tmp_path / "d" / "a.txt"
    if fault in ("missing", "folder"):
        target.unlink()
    if fault == "folder":
        target.mkdir()
    if fault == "short":
        target.write_text("content")
    if fault == "no manifest":
        path.unlink()
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    if fault == "no json":
        path.write_bytes(b"\xff\xfe\x00")
    if fault == "a list":
        path.write_text("[]")
    with pytest.raises(UserError, match="run the workflow again"):
        read_manifest(path)


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert canonical({"b": [1, 2.5], "a": {"d": None, "c": "ü"}}) == '{"a":{"c":"ü","d":null},"b":[1,2.5]}'
    assert dump_json({"b": 1, "a": 2}) == '{\n "a": 2,\n "b": 1\n}\n'


# --- run_job


@pytest.fixture
def job(tmp_path):
    """Return a function that runs a job into `tmp_path/out` and returns its status."""

    def run(work, *more: str, spec: str = '{"x":1}') -> int:
        return run_job(work, {}, ["--spec", spec, "--output", str(tmp_path / "out" / "manifest.json"), *more])

    return run


def good(spec, args, folder):
    """Write one file."""
    (folder / "result.txt").write_text(f"x = {spec['x']}")
    return {"rows": 1, "run": {"attempts": 1}}


def test_a_job_that_succeeds(job, tmp_path):
    assert job(good) == 0
    out = tmp_path / "out"
    assert sorted(p.name for p in out.iterdir()) == ["manifest.json", "result.txt", "run.json", "spec.json"]
    manifest = read_manifest(out / "manifest.json")
    assert manifest["facts"] == {"rows": 1}
    assert list(manifest["files"]) == ["result.txt"]
    assert json.loads((out / "spec.json").read_text()) == {"x": 1}
    volatile = json.loads((out / "run.json").read_text())
    assert volatile["attempts"] == 1
    assert volatile["versions"]["python"] == sys.version.split()[0]
    assert volatile["versions"]["numpy"] == np.__version__
    assert volatile["wall_seconds"] >= 0
    assert volatile["cpu_seconds"] >= 0
    assert volatile["machine"]["cores"] == os.cpu_count()
    assert list(tmp_path.iterdir()) == [out]


def test_threads_and_batches_do_not_reach_the_manifest(job, tmp_path):
    job(good)
    first = (tmp_path / "out" / "manifest.json").read_bytes()
    job(good, "--threads", "2", "--tokens-per-batch", "64")
    assert (tmp_path / "out" / "manifest.json").read_bytes() == first


def test_a_second_run_replaces_every_file_of_the_first(job, tmp_path):
    def first(spec, args, folder):
        (folder / "old.txt").touch()

    job(first)
    job(good)
    assert not (tmp_path / "out" / "old.txt").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def wrong(spec, args, folder):
    """Fail after half of the work."""
    (folder / "half.txt").write_text("half")
    raise UserError("the column `label` is missing from a.parquet; check tasks/a.yaml")


def test_a_users_mistake_is_one_line_and_status_2(job, tmp_path, capsys):
    assert job(wrong) == 2
    shown = capsys.readouterr()
    assert shown.err == "error: the column `label` is missing from a.parquet; check tasks/a.yaml\n"
    assert shown.out == ""
    assert list(tmp_path.iterdir()) == []


def test_the_old_result_survives_a_failed_rerun(job, tmp_path):
    job(good)
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    assert job(wrong) == 2
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_the_rest_of_a_killed_job_does_not_reach_the_next_result(job, tmp_path):
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "stale.txt").touch()
    (tmp_path / "out.old").mkdir()
    assert job(good) == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
    assert not (tmp_path / "out" / "stale.txt").exists()


def test_what_nobody_foresaw_keeps_its_traceback(job, tmp_path):
    def work(spec, args, folder):
        (folder / "half.txt").touch()
        raise ZeroDivisionError("who would have thought")

    with pytest.raises(ZeroDivisionError):
        job(work)
    assert list(tmp_path.iterdir()) == []


def write_to_full_device(spec, args, folder):
    """Fail as the system does."""
    Path("/dev/full").write_text("x")


def numpy_on_full_disk(spec, args, folder):
    """What np.save raises when a block does not fit: no error number."""
    raise OSError("1000000 requested and 131056 written")


def safetensors_on_full_disk(spec, args, folder):
    """What save_file raises; it is no OSError."""
    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def over_quota(spec, args, folder):
    """Fail as the system does."""
    raise OSError(122, "Disk quota exceeded", str(folder / "x"))


@pytest.mark.parametrize(
    "work", [write_to_full_device, numpy_on_full_disk, safetensors_on_full_disk, over_quota], ids=lambda w: w.__name__
)
def test_a_full_disk_is_one_message_and_the_old_result_stays(job, tmp_path, capsys, work):
    job(good)
    assert job(work) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "no space left on device" in message
    assert "free some space and run again" in message
    assert (tmp_path / "out" / "result.txt").read_text() == "x = 1"
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), SafetensorError("invalid header")], ids=str
)
def test_other_system_errors_keep_their_traceback(job, error):
    def work(spec, args, folder):
        raise error

    with pytest.raises(type(error)):
        job(work)


def test_bad_arguments_are_refused(job, capsys):
    for arguments in (["--spec", "{"], ["--nonsense", "1"]):
        with pytest.raises(SystemExit) as end:
            job(good, *arguments)
        assert end.value.code == 2
        assert "error:" in capsys.readouterr().err


def test_inputs_are_paths_one_or_many(tmp_path):
    seen = {}

    def work(spec, args, folder):
        seen.update(vars(args))

    out = str(tmp_path / "o" / "manifest.json")
    argv = ["--spec", "{}", "--output", out, "--one", "a b", "--dev-data", "c", "--many", "d", "e"]
    run_job(work, {"one": "", "dev-data": "", "many": "+", "perhaps": "?"}, argv)
    assert seen["one"] == Path("a b")
    assert seen["dev_data"] == Path("c")
    assert seen["many"] == [Path("d"), Path("e")]
    assert seen["perhaps"] is None
    assert seen["threads"] == 1


def test_a_real_script_says_its_name_and_what_is_missing(tmp_path):
    command = [
        sys.executable,
        "-m",
        "scripts.tokenize",
        "--spec",
        "{}",
        "--output",
        str(tmp_path / "t" / "manifest.json"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "python -m scripts.tokenize: error: the following arguments are required: --data, --tokenizer" in done.stderr
    more = ["--data", str(tmp_path / "none" / "manifest.json"), "--tokenizer", str(tmp_path / "none" / "manifest.json")]
    done = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        done.stderr
        == f"error: {tmp_path / 'none' / 'manifest.json'} is missing: run the workflow again, it will be rebuilt\n"
    )
    assert list(tmp_path.iterdir()) == []
