"""Which commit is read: pins, locks, mirrors, and work without network."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import yaml
from hub_fixture import World, facts, message, rows_of, spec_of

from stilts.data.pins import Lock


@pytest.fixture
def world(tmp_path, monkeypatch):
    made = World(tmp_path, monkeypatch)
    with made.server:
        yield made


# Pins and locks


def test_the_real_hub_s_commit_goes_to_the_committed_lock_and_is_kept(world):
    world.official()
    old = world.commit()
    assert world.fetch() == 0
    assert yaml.safe_load(world.lock.read_text())["repositories"] == {"datasets/google/xtreme@main": old}
    assert not world.beside.exists()
    assert world.push() != old
    shutil.rmtree(world.home / "cache")
    assert world.fetch() == 0
    assert facts(world.output)["revision"] == old
    assert rows_of(world.output.parent / "PAWS-X.de" / "test.parquet")[0]["sentence1"] == "de test 0"


def test_another_endpoint_s_commit_never_enters_the_committed_lock(world):
    assert world.fetch() == 0
    assert not world.lock.exists()
    assert yaml.safe_load(world.beside.read_text())["repositories"] == {"datasets/google/xtreme@main": world.commit()}
    assert facts(world.output)["mirror"] is True


def test_a_mirror_without_the_pinned_commit_works_and_says_so(world, capsys):
    pin = "a" * 40
    assert world.fetch(spec_of("pawsx", ["en"], revision=pin)) == 0
    assert f"does not have the pinned commit {pin}" in capsys.readouterr().err
    assert facts(world.output)["pinned_revision"] == pin
    assert facts(world.output)["revision"] == world.commit()
    assert not world.lock.exists()


def test_a_mirror_with_the_pinned_commit_serves_it(world):
    old = world.commit()
    world.push()
    assert world.fetch(spec_of("pawsx", ["en"], revision=old)) == 0
    assert facts(world.output)["revision"] == old
    assert facts(world.output)["pinned_revision"] is None


def test_a_mirror_that_lost_the_first_commit_is_refused(world, capsys):
    old = world.commit()
    assert world.fetch() == 0
    new = world.push()
    world.server.scan(keep_history=False)
    shutil.rmtree(world.home / "cache")
    assert world.fetch() == 2
    text = message(capsys)
    assert f"no revision {old}" in text
    assert f"main is {new} now" in text
    assert str(world.beside) in text


def test_pins_that_contradict_each_other(world, capsys):
    world.official()
    assert world.fetch() == 0
    assert world.fetch(spec_of("pawsx", ["en"], revision="b" * 40)) == 2
    assert "Delete the wrong one" in message(capsys)


def test_a_pin_that_does_not_exist(world, capsys):
    world.official()
    assert world.fetch(spec_of("pawsx", ["en"], revision="b" * 40)) == 2
    assert f"no revision {'b' * 40}" in message(capsys)


def test_the_lock_keeps_the_first_value(tmp_path):
    lock = Lock(tmp_path / "x.lock.yaml", tmp_path / "guards")
    assert lock.settle("repositories", "datasets/a/b@main", "1" * 40) == "1" * 40
    assert lock.settle("repositories", "datasets/a/b@main", "2" * 40) == "1" * 40
    assert lock.settle("files", "https://x/y", "3") == "3"
    assert lock.get("repositories", "datasets/a/b@main") == "1" * 40
    assert list(tmp_path.glob("*.part")) == []


def test_jobs_in_parallel_agree_on_one_value(tmp_path, root):
    code = (
        "import sys; from pathlib import Path; from stilts.data.pins import Lock; h = Path(sys.argv[1]);"
        "l = Lock(h / 'x.lock.yaml', h / 'guards');"
        "[l.settle('files', f'k{n}', sys.argv[2]) for n in range(20)]; print(l.get('files', 'k19'))"
    )
    jobs = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), who], cwd=root, stdout=subprocess.PIPE, text=True)
        for who in ("one", "two")
    ]
    answers = {job.communicate()[0].strip() for job in jobs}
    assert len(answers) == 1
    assert len(yaml.safe_load((tmp_path / "x.lock.yaml").read_text())["files"]) == 20


# Offline


def test_offline_from_the_cache(world, monkeypatch):
    world.official()
    assert world.fetch() == 0
    first = world.output.read_bytes()
    world.server.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert world.fetch() == 0
    assert world.output.read_bytes() == first
    assert world.server.requests == []


def test_offline_refuses_another_cached_revision(world, capsys, monkeypatch):
    world.official()
    cached = world.commit()
    assert world.fetch() == 0
    world.lock.unlink()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert world.fetch(spec_of("pawsx", ["en"], revision="c" * 40)) == 2
    text = message(capsys)
    assert "c" * 40 in text
    assert f"It holds other revisions ({cached}), which are not used instead" in text


def test_offline_without_any_pin(world, capsys, monkeypatch):
    world.official()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert world.fetch() == 2
    assert "No revision of the dataset repository google/xtreme is pinned yet" in message(capsys)


def test_offline_with_a_part_of_the_files(world, capsys, monkeypatch):
    world.official()
    assert world.fetch(spec_of("pawsx", ["en"])) == 0
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert world.fetch() == 2
    assert "PAWS-X.de/test-00000-of-00001.parquet" in message(capsys)  # dev rows of German are not read
