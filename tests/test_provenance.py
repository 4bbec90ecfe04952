"""Code and environment digests: neutral edits change nothing, real ones exactly the rules that can reach them."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from scripts.provenance import main, provenance
from stilts.errors import UserError
from stilts.provenance.code import NEUTRAL, closure, code_digest, declared, reached
from stilts.provenance.environment import PACKAGES, environment_digest, locked_versions

ROOT = Path(__file__).resolve().parents[1]
RULES = sorted(PACKAGES)

PROJECT = {
    "scripts/__init__.py": "",
    "scripts/one.py": '''
"""Script one."""
from __future__ import annotations
import json
import numpy as np
from stilts.near import shout
from stilts.deep.inner import core
def work(flag):
    """Work hard."""
    if flag:
        from stilts import rare  # only sometimes
    return shout(json.dumps(1)) + core.VALUE
''',
    "scripts/two.py": "import stilts.other.lone\n",
    "scripts/three.py": "from stilts.near import shout\n",
    "stilts/__init__.py": "",
    "stilts/near.py": "def shout(x):\n    return x + '!'\n",
    "stilts/rare.py": "class A:\n    def f(self):\n        def g():\n            import stilts.nested\n",
    "stilts/nested.py": "N = 1\n",
    "stilts/deep/__init__.py": "FLAG = 1\n",
    "stilts/deep/inner/__init__.py": "from .. import sibling\n",
    "stilts/deep/inner/core.py": "try:\n    from ...relative import R\nexcept ImportError:\n    R = 0\nVALUE = 'v'\n",
    "stilts/deep/sibling.py": "S = 1\n",
    "stilts/deep/unused.py": "U = 1\n",
    "stilts/relative.py": "R = 1\n",
    "stilts/other/__init__.py": "",
    "stilts/other/lone.py": "L = 1\n",
}
REACHED_BY_ONE = {
    "scripts/__init__.py",
    "scripts/one.py",
    "stilts/__init__.py",
    "stilts/near.py",
    "stilts/rare.py",
    "stilts/nested.py",
    "stilts/deep/__init__.py",
    "stilts/deep/inner/__init__.py",
    "stilts/deep/inner/core.py",
    "stilts/deep/sibling.py",
    "stilts/relative.py",
}


@pytest.fixture
def project(tmp_path):
    """Return a function that writes the small project, with some files replaced, into a new folder."""
    count = iter(range(1000))

    def write(**changes: str) -> Path:
        root = tmp_path / f"p{next(count)}"
        files = {**PROJECT, **{k.replace("__in__", "/"): v for k, v in changes.items()}}
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.lstrip())
        return root

    return write


def digests(root: Path) -> dict[str, str]:
    return {name: code_digest(f"scripts.{name}", root) for name in ("one", "two", "three")}


def test_the_closure_holds_what_an_import_can_run_and_nothing_else(project):
    root = project()
    assert {p.relative_to(root).as_posix() for p in closure("scripts.one", root)} == REACHED_BY_ONE


@pytest.mark.parametrize("name", [n for n in PROJECT if PROJECT[n]])
def test_a_real_edit_changes_exactly_the_closures_that_hold_the_file(project, name):
    before, after = digests(project()), digests(project(**{name: PROJECT[name].rstrip(" ") + "\nEDITED = 1\n"}))
    root = project()
    holds = {k for k in before if root / name in closure(f"scripts.{k}", root)}
    assert {k for k in before if before[k] != after[k]} == holds
    assert ("one" in holds) == (name in REACHED_BY_ONE)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stilts/near.py", "# a comment\ndef shout(x):  # another\n\n    return x + '!'\n"),
        ("stilts/near.py", 'def shout(x):\n    return (\n        x + "!"\n    )\n'),
        ("stilts/near.py", '"""A new docstring."""\n\n\ndef shout(x):\n    """Another."""\n    return x + "!"\n'),
        ("stilts/deep/inner/__init__.py", '"""Why."""\nfrom .. import sibling  # noqa\n'),
        ("scripts/one.py", PROJECT["scripts/one.py"].replace("Script one.", "1").replace("Work hard.", "Rest.")),
        ("scripts/one.py", PROJECT["scripts/one.py"].replace('"""Work hard."""\n', "\n")),
        ("stilts/deep/unused.py", "U = 2\n"),
    ],
)
def test_comments_docstrings_and_format_are_neutral(project, name, text):
    assert digests(project(**{name: text})) == digests(project())


@pytest.mark.parametrize(
    "text",
    [
        "def shout(x):\n    return x + '?'\n",
        "def shout(y):\n    return y + '!'\n",
        "def shout(x, z=1):\n    return x + '!'\n",
        "def shout(x):\n    x + '!'\n",
        "def shout(x):\n    s = 'a string that is no docstring'\n    return x + '!'\n",
        "@staticmethod\ndef shout(x):\n    return x + '!'\n",
        "def shout(x):\n    return x + b'!'\n",
    ],
)
def test_every_real_edit_counts(project, text):
    before, after = digests(project()), digests(project(**{"stilts/near.py": text}))
    assert before["one"] != after["one"]
    assert before["three"] != after["three"]
    assert before["two"] == after["two"]


def test_a_renamed_file_counts_even_if_its_text_is_the_same(project):
    moved = project(
        **{"scripts/three.py": "from stilts.far import shout\n", "stilts/far.py": PROJECT["stilts/near.py"]}
    )
    assert digests(moved)["three"] != digests(project())["three"]


def test_the_digest_does_not_depend_on_where_the_project_lies_or_when_it_was_written(project):
    assert digests(project()) == digests(project())


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\nimportlib.import_module('stilts.nested')\n",
        "import importlib as il\nil.import_module('stilts.nested')\n",
        "import importlib.metadata\nimportlib.import_module('stilts.nested')\n",
        "from importlib import import_module as load\nload('stilts.nested')\n",
        "import importlib.util\n",
        "def f():\n    __import__('stilts.nested')\n",
        "exec('import stilts.nested')\n",
        "import runpy\n",
        "from runpy import run_module\n",
        "from stilts.deep import *\n",
        "from . import *\n",
    ],
)
def test_what_no_closure_can_follow_is_refused(project, text):
    root = project(**{"stilts/near.py": text})
    with pytest.raises(UserError, match=r"near\.py:\d+: .* hides what it runs from the code digest"):
        code_digest("scripts.one", root)
    code_digest("scripts.two", root)  # it does not reach the file


@pytest.mark.parametrize(
    "text",
    [
        "from importlib import metadata\n",
        "import importlib.resources\n",
        "model = object()\nmodel.eval()\nframe = object()\nframe.eval('a + b')\n",
        "import re\nre.compile('x')\n",
    ],
)
def test_harmless_look_alikes_are_not_refused(project, text):
    code_digest("scripts.three", project(**{"stilts/near.py": text}))


def test_a_module_that_does_not_exist_is_named(project):
    with pytest.raises(UserError, match=r"there is no module scripts\.four"):
        code_digest("scripts.four", project())


# --- this project


def names(rule: str) -> set[str]:
    return {p.relative_to(ROOT).as_posix() for p in closure(f"scripts.{rule}")}


def test_the_closure_of_target_training_is_training_and_nothing_beyond():
    held = names("train_target")
    assert held >= {
        "scripts/train_target.py",
        "stilts/train/loop.py",
        "stilts/train/optimizer.py",
        "stilts/train/plan.py",
        "stilts/train/setup.py",
        "stilts/model/encoder.py",
        "stilts/model/heads.py",
        "stilts/model/checkpoint.py",
        "stilts/tokens/sequences.py",
        "stilts/tokens/store.py",
        "stilts/predict/infer.py",
        "stilts/predict/decode.py",
        "stilts/predict/records.py",
        "stilts/metrics/judge.py",
        "stilts/tasks/spec.py",
        "stilts/errors.py",
    }
    away = ("report", "miniworld", "retrieval", "data", "config", "worker")
    assert not [n for n in held if n.split("/")[1] in away]
    assert not {"stilts/train/pretrain.py", "stilts/tokens/build.py", "stilts/tokens/tokenizer.py"} & held


@pytest.mark.parametrize(
    ("rule", "away"),
    [
        ("make_world", ("model", "train", "predict", "metrics", "report", "tokens", "data")),
        ("prepare", ("model", "train", "predict", "metrics", "report", "tokens", "miniworld")),
        ("tokenize", ("model", "train", "predict", "metrics", "report", "miniworld", "data")),
        ("pretrain", ("predict", "metrics", "report", "miniworld", "data")),
        ("embed", ("train", "metrics", "report", "miniworld", "data")),
        ("predict", ("train", "report", "miniworld", "data")),
        ("score", ("model", "train", "predict", "report", "miniworld", "tokens")),
        ("report", ("model", "train", "predict", "miniworld", "tokens")),
    ],
)
def test_closures_are_narrow(rule, away):
    assert not [n for n in names(rule) if n.split("/")[1] in away]


# Imported by a function of the closure that the rule never calls.
UNUSED = {"tokenize": {"sentencepiece"}, "profile_budget": {"sentencepiece"}, "randomise": {"numpy"}}


def third_party(rule: str) -> set[str]:
    """Return the top-level names outside the standard library that a rule's closure imports."""
    found = set()
    for path in closure(f"scripts.{rule}"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {a.name.split(".")[0] for a in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"stilts", "scripts"}


@pytest.mark.parametrize("rule", RULES)
def test_every_package_that_can_change_a_result_is_in_its_environment_digest(rule):
    # pydantic and yaml only read the spec; tqdm and rich draw bars; filelock waits; pynvml reads the energy counter.
    harmless = {"pydantic", "yaml", "tqdm", "rich", "filelock", "pynvml"} | UNUSED.get(rule, set())
    digest = dict(x.split("==") for x in environment_digest(rule).split())
    names = {n.replace("_", "-") for n in third_party(rule) - harmless}
    assert {"vl-convert-python" if n == "vl-convert" else n for n in names} <= set(digest)
    assert all(locked_versions()[k] == v for k, v in digest.items())


def test_every_rule_has_a_script_and_an_environment():
    text = "".join(p.read_text() for p in (ROOT / "rules").glob("*.smk"))
    blocks = {block.split(":")[0]: block for block in text.split("\nrule ")[1:]}
    rules = {rule for rule, block in blocks.items() if "    shell:" in block}
    assert rules == set(PACKAGES)
    assert all((ROOT / "scripts" / f"{rule}.py").is_file() for rule in rules)


def test_a_lock_without_a_version_is_named(tmp_path):
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "requirements.lock").write_text("numpy==1.0 \\\n    --hash=sha256:0\n")
    (tmp_path / "envs" / "torch.txt").write_text("torch==2.13.0\n")
    with pytest.raises(UserError, match=r"locks no version of safetensors, which rule randomise"):
        environment_digest("randomise", tmp_path)


# --- what a rule depends on, listed


def test_each_file_names_an_import_that_reaches_it(project):
    root = project()
    found = {
        p.relative_to(root).as_posix(): by and by.relative_to(root).as_posix()
        for p, by in reached("scripts.one", root).items()
    }
    assert set(found) == REACHED_BY_ONE
    assert found["scripts/one.py"] is None
    assert found["stilts/near.py"] == found["stilts/rare.py"] == "scripts/one.py"
    assert found["stilts/nested.py"] == "stilts/rare.py"
    assert found["stilts/deep/sibling.py"] == "stilts/deep/inner/__init__.py"
    assert found["stilts/relative.py"] == "stilts/deep/inner/core.py"


def test_data_files_name_the_module_that_declares_them(project):
    root = project(**{"stilts/near.py": 'DATA_FILES = ("names.txt",)\n', "stilts/names.txt": "a"})
    assert declared("scripts.three", root) == {root / "stilts/names.txt": root / "stilts/near.py"}


@pytest.mark.parametrize("rule", RULES)
def test_the_listing_of_a_rule_is_what_the_workflow_passes(rule):
    facts = provenance(rule)
    assert facts["code"] == code_digest(f"scripts.{rule}")
    assert [f"{p['package']}=={p['locked']}" for p in facts["packages"]] == environment_digest(rule).split()
    assert all(
        row["through"] for row in facts["files"] if row["file"] not in ("scripts/__init__.py", f"scripts/{rule}.py")
    )
    assert all((ROOT / row["file"]).is_file() for row in facts["files"])
    assert set(facts["neutral"]) <= set(NEUTRAL)
    assert not set(facts["neutral"]) & {row["file"] for row in facts["files"]}


def test_an_unknown_rule_is_one_message(capsys):
    assert main(["train_targe"]) == 2
    assert 'Did you mean "train_target"?' in capsys.readouterr().err
    assert main(["score"]) == 0
    assert "imported by scripts/score.py" in capsys.readouterr().out
