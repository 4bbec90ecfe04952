"""What leaves the house: the bundle of a run, training curves for TensorBoard, Snakemake's own report."""

from __future__ import annotations

import csv
import json
import re
import shutil
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from scripts.export_run import main as export_run
from scripts.tensorboard import main as tensorboard
from stilts.provenance.key import read_key
from stilts.report.bundle import log_of, scrubbed
from stilts.report.events import crc32c, event_file
from tests.study_case import ROOT, TINY, snakemake

TUNED = "models/target/mini/multi/xquad/d1/s2"
# Written by TensorBoard 2.21.0 (RecordWriter, its own Event and Summary messages) for the events of the test.
GOLDEN = (
    "1800000000000000a37f4b22090000000000448f401a0d627261696e2e4576656e743a32aba333452600000000000000734fe300090000000000488f"
    "4010012a190a0b0a046c6f737315000020400a0a0a0364657615000000bef91cb54e1f00000000000000514b4418090000000000508f4010ac022a11"
    "0a0f0a086c6f73732f71717015cdcccc3d15352c95"
)
REPORTED = re.compile(
    r'report\(\s*f"\{ROOT\}/([\w./]+)",\s*caption="../report/(\w+)\.rst",\s*'
    r'category="(\w+)",\s*labels=\{"\w+": "([\w ]+)"\}'
)


@pytest.fixture
def study(finished, tmp_path) -> Path:
    """Return a copy of the finished study without weights, so that a test may write beside it."""
    ignored = shutil.ignore_patterns("*.safetensors", ".snakemake", ".store")
    shutil.copytree(finished, tmp_path / "a study", ignore=ignored)
    return tmp_path / "a study"


def arguments(study: Path, *more: str) -> list[str]:
    return ["--configfile", str(TINY), "--directory", str(study), *more]


# --- the bundle


def test_a_bundle_holds_every_job_that_a_run_came_from(study, capsys):
    assert export_run(arguments(study, TUNED)) == 0
    bundle = study / "results/exported/tiny" / f"run-{TUNED.replace('/', '-')}"
    jobs = {p.parent.relative_to(bundle / "jobs/results/tiny").as_posix() for p in bundle.rglob("key.json")}
    wanted = {TUNED, "models/intermediate/mini/multi/s2", "models/pretrained/mini/s2", "tokenizers/mini", "world"}
    tasks = {"squad1", "hellaswag", "mlm_text"}
    wanted |= {f"{stage}/{task}" for stage in ("data", "tokens/mini") for task in tasks}
    assert jobs == wanted
    for place in jobs:
        source, copy = study / "results/tiny" / place, bundle / "jobs/results/tiny" / place
        assert read_key(copy)["key"] == read_key(source)["key"]
        for name in ("manifest.json", "spec.json", "run.json"):
            assert (copy / name).read_bytes() == (source / name).read_bytes()
        assert (copy / "log.txt").is_file(), place
    assert not list(bundle.rglob("*.safetensors"))
    assert not list(bundle.rglob("*.parquet"))
    assert (bundle / "environment/requirements.lock").read_bytes() == (ROOT / "envs/requirements.lock").read_bytes()
    with (bundle / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (study / "results/tiny/scores.csv").open(newline="") as file:
        every = [r for r in csv.DictReader(file) if (r["recipe"], r["target"], r["seed"]) == ("multi", "xquad", "2")]
    assert rows == [r for r in every if r["budget_point"].startswith("d1-")]
    assert rows
    with (bundle / "code.csv").open(newline="") as file:
        assert ("train_target", "scripts/train_target.py") in {(r["rule"], r["file"]) for r in csv.DictReader(file)}


def test_a_bundle_names_no_path_of_the_machine(study):
    folder = study / "results/tiny" / TUNED
    key = json.loads((folder / "key.json").read_text())
    key["options"] = {"local": ["/data/anna/my encoder", "~/x/y"]}
    (folder / "key.json").write_text(json.dumps(key))
    log = log_of(study, Path("results/tiny") / TUNED, "train_target")
    assert log.is_file()
    log.write_text(f'File "{ROOT}/stilts/x.py"\nerror: {study}/results/tiny: no; see https://example.org/a/b or a/b\n')
    assert export_run(arguments(study, TUNED)) == 0
    bundle = next((study / "results/exported/tiny").iterdir())
    places = (str(study), str(ROOT), str(Path.home()) + "/", sys.prefix, "anna")
    texts = {p.relative_to(bundle).as_posix(): p.read_text(encoding="utf-8") for p in bundle.rglob("*") if p.is_file()}
    assert {(name, place) for name, text in texts.items() for place in places if place in text} == set()
    told = texts[f"jobs/results/tiny/{TUNED}/log.txt"]
    assert told == 'File "<path>/stilts/x.py"\nerror: <path>/results/tiny: no; see https://example.org/a/b or a/b\n'


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/data/anna/mnli.tsv", "<path>/mnli.tsv"),
        ("~/anna/mnli", "<path>/mnli"),
        ("in '/a/b', (/c/d)", "in '<path>/b', (<path>/d)"),
        ("120/700, 3 s left", "120/700, 3 s left"),
        ("results/tiny/data", "results/tiny/data"),
        ("https://host/a/b", "https://host/a/b"),
        ("and/or n/a", "and/or n/a"),
    ],
)
def test_paths_are_cut_down_to_their_last_part(text, left):
    assert scrubbed(text) == left


@pytest.mark.parametrize("name", ["run.zip", "run.tar", "run.tar.gz"])
def test_a_bundle_may_be_an_archive(study, tmp_path, name):
    assert export_run(arguments(study, "data/pawsx", "--output", str(tmp_path / name))) == 0
    path = tmp_path / name
    with zipfile.ZipFile(path) if name == "run.zip" else tarfile.open(path) as archive:
        names = archive.namelist() if name == "run.zip" else archive.getnames()
    assert {"run/README.md", "run/jobs/results/tiny/data/pawsx/key.json"} <= set(names)
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".part"] == []
    assert export_run(arguments(study, "data/pawsx", "--output", str(path))) == 2


def test_what_cannot_be_bundled_is_said_and_leaves_nothing(study, capsys):
    assert export_run(arguments(study, "models/target/mini/none/nothing")) == 2
    assert "no finished result of an experiment there" in capsys.readouterr().err
    shutil.rmtree(study / "results/tiny/data/squad1")
    assert export_run(arguments(study, TUNED)) == 2
    assert "results/tiny/data/squad1 is no finished result" in capsys.readouterr().err
    assert list((study / "results/exported").rglob("*")) == [study / "results/exported/tiny"]


# --- TensorBoard


def test_event_files_are_those_of_tensorboard_byte_for_byte():
    points = [(1001.0, 1, {"loss": 2.5, "dev": -0.125}), (1002.0, 300, {"loss/qqp": 0.1})]
    assert event_file(1000.5, points).hex() == GOLDEN


def test_the_checksum_is_castagnolis():
    # RFC 3720, appendix B.4.
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_training_curves_become_one_event_file_a_run(study, capsys):
    assert tensorboard(arguments(study)) == 0
    home = study / "results/exported/tiny/tensorboard"
    histories = sorted((study / "results/tiny/models").rglob("history*.jsonl"))
    assert f"{len(histories)} training runs written" in capsys.readouterr().out
    assert len(list(home.rglob("events.out.tfevents.*"))) == len(histories)
    rows = [json.loads(x) for x in (study / "results/tiny" / TUNED / "history.jsonl").read_text().splitlines()]
    data = next((home / TUNED.removeprefix("models/")).iterdir()).read_bytes()
    sizes, at = [], 0
    while at < len(data):
        sizes.append(struct.unpack_from("<Q", data, at)[0])
        at += 8 + 4 + sizes[-1] + 4
    assert len(sizes) == 1 + len(rows)
    assert all(struct.pack("<f", row["loss"]) in data for row in rows)
    several = next((home / "intermediate/mini/multi/s1").iterdir()).read_bytes()
    assert b"loss/squad1" in several
    assert b"loss/hellaswag" in several
    assert tensorboard(arguments(study)) == 0  # an earlier one is replaced
    assert tensorboard(["--directory", str(study / "elsewhere")]) == 2
    assert "no finished training below" in capsys.readouterr().err


# --- Snakemake's own report


def test_snakemakes_own_report_has_every_table_with_its_caption(finished, tmp_path):
    done = snakemake(finished, "--report", str(tmp_path / "report.html"))
    assert done.returncode == 0, done.stdout[-3000:]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    rules = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "rules").glob("*.smk")))
    flagged = REPORTED.findall(rules)
    assert len(flagged) == rules.count("=report(")
    assert {file for file, *_ in flagged} >= {"scores.csv", "costs.csv", "curves.csv", "claims.csv"}
    for file, caption, category, label in flagged:
        assert f'"results/tiny/{file}"' in page
        assert (ROOT / "report" / f"{caption}.rst").read_text(encoding="utf-8").split("``")[0][:40].strip() in page
        assert f'"{category}"' in page
        assert f'"{label}"' in page
    captions = {p.stem for p in (ROOT / "report").glob("*.rst")} - {"workflow"}
    assert captions == {caption for _, caption, *_ in flagged}
