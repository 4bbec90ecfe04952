"""The downloader of raw files, raw text tasks, and data from local folders."""

from __future__ import annotations

import json
import re
import threading

import pytest
import yaml
from hub_fixture import facts, rows_of, run, spec_of, write_rows
from hub_server import Fault, HubServer

import scripts.fetch as fetch_script
import scripts.prepare as prepare_script
import stilts.data.download as module
from stilts.data.download import download
from stilts.errors import UserError

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def server(tmp_path, monkeypatch):
    raw = tmp_path / "hub" / "raw" / "text"
    raw.mkdir(parents=True)
    (raw / "de.txt").write_bytes(CONTENT)
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0, 0.0))
    with HubServer(tmp_path / "hub") as made:
        yield made


def gets(server):
    return [path for method, path in server.requests if method == "GET"]


def bring(server, tmp_path, **options):
    target = tmp_path / "out" / "de.txt"
    target.unlink(missing_ok=True)
    digest = download(f"{server.url}/raw/text/de.txt", target, tmp_path / "cache", **options)
    assert target.read_bytes() == (server.folder / "raw" / "text" / "de.txt").read_bytes()
    assert [p.name for p in target.parent.iterdir()] == ["de.txt"]
    return digest


def test_a_known_file_comes_from_the_cache(server, tmp_path):
    digest = bring(server, tmp_path)
    assert bring(server, tmp_path, sha256=digest) == digest
    assert len(gets(server)) == 1
    assert bring(server, tmp_path) == digest  # unknown checksum: asks whether it has changed
    assert len(gets(server)) == 2


def test_a_changed_file_is_noticed(server, tmp_path):
    digest = bring(server, tmp_path)
    (server.folder / "raw" / "text" / "de.txt").write_bytes(b"other")
    assert bring(server, tmp_path) != digest
    with pytest.raises(UserError, match="came twice with the sha256"):
        bring(server, tmp_path, sha256=digest)


@pytest.mark.parametrize("kind", ["cut", 503, 429])
def test_a_cut_or_busy_connection_goes_on(server, tmp_path, kind):
    server.faults = [Fault("de.txt", kind, times=2)]
    bring(server, tmp_path)
    assert len(gets(server)) == 3


def test_resume_in_a_later_run(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAUSES", ())
    server.faults = [Fault("de.txt", "cut", times=1)]
    with pytest.raises(UserError, match="run again to go on"):
        bring(server, tmp_path)
    part = next((tmp_path / "cache").glob("*.part"))
    assert 0 < part.stat().st_size < len(CONTENT)
    sent = []
    handler = server.http.RequestHandlerClass
    send = handler.send
    handler.send = lambda self, data, heads, fault: (
        sent.append(self.headers.get("Range")),
        send(self, data, heads, fault),
    )[1]
    bring(server, tmp_path)
    assert sent == [f"bytes={len(CONTENT) // 2}-"]


def test_a_file_that_changed_meanwhile_is_fetched_whole(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAUSES", ())
    server.faults = [Fault("de.txt", "cut", times=1)]
    with pytest.raises(UserError):
        bring(server, tmp_path)
    (server.folder / "raw" / "text" / "de.txt").write_bytes(CONTENT[::-1])
    bring(server, tmp_path)


def test_corrupt_bytes(server, tmp_path):
    server.faults = [Fault("de.txt", "corrupt", times=1)]
    bring(server, tmp_path)  # the server states a checksum (Repr-Digest)
    server.faults = [Fault("de.txt", "corrupt")]
    (tmp_path / "cache").rename(tmp_path / "old")
    with pytest.raises(UserError, match="came twice with the sha256"):
        bring(server, tmp_path)
    assert not list((tmp_path / "cache").glob("*.data"))


def test_a_spoilt_cache_is_set_aside(server, tmp_path):
    digest = bring(server, tmp_path)
    data = next((tmp_path / "cache").glob("*.data"))
    data.write_bytes(b"spoilt")
    assert bring(server, tmp_path, sha256=digest) == digest
    assert next((tmp_path / "cache").glob("*.wrong")).read_bytes() == b"spoilt"


@pytest.mark.parametrize(
    ("path", "text"), [("nothing.txt", "no such file .HTTP 404"), ("../REVISIONS.tsv", "HTTP 404")]
)
def test_missing_file(server, tmp_path, path, text):
    with pytest.raises(UserError, match=text):
        download(f"{server.url}/raw/text/{path}", tmp_path / "x", tmp_path / "cache")


def test_refused_is_not_retried(server, tmp_path):
    server.faults = [Fault("de.txt", "gated")]
    with pytest.raises(UserError, match=r"access refused .HTTP 403"):
        bring(server, tmp_path)
    assert len(gets(server)) == 1


def test_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAUSES", (0.0,))
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:9/x: no connection") as caught:
        download("http://me:secret@127.0.0.1:9/x?token=secret", tmp_path / "x", tmp_path / "cache")
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "x").exists()
    for url in ("no url", "file:///etc/hostname"):
        with pytest.raises(UserError, match="is not an http or https URL"):
            download(url, tmp_path / "x", tmp_path / "cache")


def test_offline_and_unreachable_servers_leave_the_cache(server, tmp_path):
    digest = bring(server, tmp_path, key="k")
    target = tmp_path / "y"
    assert download("http://127.0.0.1:9/x", target, tmp_path / "cache", key="k", offline=True) == digest
    assert download("http://127.0.0.1:9/x", target, tmp_path / "cache", key="k") == digest
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        download("http://127.0.0.1:9/z", target, tmp_path / "cache", offline=True)


def test_two_jobs_at_once_share_one_download(server, tmp_path):
    jobs = [
        threading.Thread(target=download, args=(f"{server.url}/raw/text/de.txt", tmp_path / str(n), tmp_path / "cache"))
        for n in range(3)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [(tmp_path / str(n)).read_bytes() == CONTENT for n in range(3)] == [True] * 3


# Text tasks through scripts.fetch


@pytest.fixture
def text_hub(server, tmp_path, monkeypatch):
    raw = server.folder / "raw" / "mlm_text"
    raw.mkdir()
    for language in ("de", "en"):
        (raw / f"{language}.txt").write_text(f"{language} one\n{language} two\n")
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return server


def test_text_from_a_mirror_and_on_to_examples(text_hub, tmp_path):
    spec = spec_of("mlm_text", ["de", "en"])
    raw, lock = tmp_path / "raw" / "mlm_text" / "manifest.json", tmp_path / "committed.yaml"
    assert run(fetch_script, spec, raw, "--lock", lock) == 0
    assert not lock.exists()
    files = yaml.safe_load((tmp_path / "raw" / "revisions.lock.yaml").read_text())["files"]
    assert sorted(files) == ["{endpoint}/raw/mlm_text/de.txt", "{endpoint}/raw/mlm_text/en.txt"]
    out = tmp_path / "data" / "manifest.json"
    assert run(prepare_script, spec, out, "--raw", raw) == 0
    assert facts(out)["rows"] == {"train": {"de": 2, "en": 2}}


def test_text_that_changed_since_the_first_fetch_is_refused(text_hub, tmp_path, capsys):
    spec, raw = spec_of("mlm_text", ["de"]), tmp_path / "raw" / "mlm_text" / "manifest.json"
    assert run(fetch_script, spec, raw) == 0
    before = raw.read_bytes()
    (text_hub.folder / "raw" / "mlm_text" / "de.txt").write_text("changed\n")
    for file in (tmp_path / "home" / "stilts" / "downloads").iterdir():
        file.unlink()
    assert run(fetch_script, spec, raw) == 2
    assert "revisions.lock.yaml" in capsys.readouterr().err
    assert raw.read_bytes() == before


def test_a_language_without_text_is_named(text_hub, tmp_path, capsys):
    raw = tmp_path / "raw" / "mlm_text" / "manifest.json"
    assert run(fetch_script, spec_of("mlm_text", ["de", "fr"]), raw) == 2
    assert "`mlm_text`, language fr: " in capsys.readouterr().err
    assert not raw.parent.exists()


# Local files


def local(spec, tmp_path):
    raw = tmp_path / "raw" / spec["task"]["task"] / "manifest.json"
    return raw, run(fetch_script, spec, raw, "--local", tmp_path / "mine")


def test_local_files_of_every_format_and_either_name_of_a_language(tmp_path):
    base = tmp_path / "mine" / "udpos"
    row = {"tokens": ["a", "b"], "pos_tags": [7, 15]}
    for split in ("train", "validation", "test"):
        write_rows(base / "udpos.English" / f"{split}.parquet", [row])
    (base / "udpos.de").mkdir()
    (base / "udpos.de" / "test.jsonl").write_text(json.dumps(row) + "\n")
    spec = spec_of("udpos", ["de", "en"], "local")
    raw, status = local(spec, tmp_path)
    assert status == 0
    out = tmp_path / "data" / "manifest.json"
    assert run(prepare_script, spec, out, "--raw", raw) == 0
    assert facts(out)["rows"]["test"] == {"de": 1, "en": 1}


def test_local_csv_and_tsv(tmp_path):
    base = tmp_path / "mine" / "mnli" / "mnli"
    base.mkdir(parents=True)
    (base / "train.csv").write_text('premise,hypothesis,label\n"a, b",c,0\nd,e,-1\n')
    (base / "validation_matched.tsv").write_text("premise\thypothesis\tlabel\nx\ty\tneutral\n")
    spec = spec_of("mnli", [], "local")
    raw, status = local(spec, tmp_path)
    assert status == 0
    out = tmp_path / "data" / "manifest.json"
    assert run(prepare_script, spec, out, "--raw", raw) == 0
    assert rows_of(out.parent / "train.parquet") == [
        {"id": "train-0", "language": "en", "text_a": "a, b", "text_b": "c", "label": 0}
    ]
    assert facts(out)["quirks"]["unlabelled"] == {"train": {"en": 1}}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        ((), "There is no folder .*mine/mnli"),
        (("mnli/mnli/train.txt",), "It holds: mnli/train.txt"),
        (("mnli/mnli/train.csv",), "cannot be read as csv|no column"),
    ],
)
def test_local_files_that_are_missing_or_broken(tmp_path, capsys, make, text):
    (tmp_path / "mine").mkdir()
    for name in make:
        (tmp_path / "mine" / name).parent.mkdir(parents=True)
        (tmp_path / "mine" / name).write_text("nothing\n")
        (tmp_path / "mine" / "mnli" / "mnli" / "validation_matched.csv").write_text(
            "a,b\n1,2\n"
        ) if "csv" in name else None
    raw, status = local(spec_of("mnli", [], "local"), tmp_path)
    assert status == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("error: ")
    assert re.search(text, message)
    assert not raw.parent.exists()


def test_local_text(tmp_path, capsys):
    (tmp_path / "mine" / "mlm_text").mkdir(parents=True)
    (tmp_path / "mine" / "mlm_text" / "de.txt").write_text("eins\n")
    assert local(spec_of("mlm_text", ["de"], "local"), tmp_path)[1] == 0
    assert local(spec_of("mlm_text", ["de", "en"], "local"), tmp_path)[1] == 2
    assert "Languages they hold: de" in capsys.readouterr().err
