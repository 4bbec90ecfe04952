"""The environment is made once, with the right build of torch, and the front door works under a path with spaces."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PIN = (ROOT / "envs/torch.txt").read_text().strip()


@pytest.fixture
def install(monkeypatch):
    spec = importlib.util.spec_from_file_location("install", ROOT / "envs/install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    for name in ("UV_FIND_LINKS", "UV_DEFAULT_INDEX", "PIP_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return module


@pytest.fixture
def wheels(tmp_path):
    """Return a folder with a wheel of torch's CPU build for this Python (empty: only its name is read)."""
    tag = "cp{}{}".format(*sys.version_info[:2])
    (tmp_path / f"{PIN.replace('==', '-')}+cpu-{tag}-{tag}-manylinux_2_28_x86_64.whl").touch()
    return str(tmp_path)


def test_a_local_wheel_is_taken_for_the_cpu_build_only(install, wheels):
    assert install.torch_by_uv("cpu", {"UV_FIND_LINKS": wheels}) == [PIN + "+cpu"]
    assert install.torch_by_uv("cu130", {"UV_FIND_LINKS": wheels}) == ["--torch-backend=cu130", PIN]
    assert install.torch_by_uv("auto", {"UV_FIND_LINKS": wheels}) == ["--torch-backend=auto", PIN]


def test_without_a_local_wheel_the_cpu_build_is_asked_for_by_name(install, tmp_path):
    assert install.torch_by_uv("cpu", {}) == ["--torch-backend=cpu", PIN]
    assert install.torch_by_uv("cpu", {"UV_FIND_LINKS": str(tmp_path)}) == ["--torch-backend=cpu", PIN]


def test_pips_index_and_wheel_folders_are_given_to_uv(install, monkeypatch):
    assert install.uv_settings() == {}
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "one two")
    assert install.uv_settings() == {"UV_DEFAULT_INDEX": "https://mirror.example/simple", "UV_FIND_LINKS": "one,two"}
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://own.example/simple")
    assert install.uv_settings() == {"UV_FIND_LINKS": "one,two"}


class Installer:
    """Stands in for everything `install.py` would run, and notes it."""

    def __init__(self, install, monkeypatch, tmp_path):
        self.install, self.monkeypatch, self.ran = install, monkeypatch, []
        monkeypatch.setattr(install, "STAMP", tmp_path / "installed.json")
        monkeypatch.setattr(install.shutil, "which", lambda name: None)
        monkeypatch.setattr(install, "works", lambda command, quiet=False: True)
        monkeypatch.setattr(
            install, "run", lambda command, settings=None, hint="": self.ran.append(" ".join(map(str, command)))
        )

    def __call__(self, *arguments: str) -> list[str]:
        self.ran.clear()
        self.monkeypatch.setattr(sys, "argv", ["install.py", *arguments])
        self.install.main()
        return list(self.ran)


def test_the_second_time_nothing_is_done_and_the_build_is_kept(install, monkeypatch, tmp_path):
    make_env = Installer(install, monkeypatch, tmp_path)
    first = make_env()
    assert any("--require-hashes --no-deps" in command and "requirements.lock" in command for command in first)
    assert any("--torch-backend=cpu" in command for command in first)
    assert make_env() == []
    changed = make_env("--torch", "cu130")
    assert any("--reinstall-package torch --torch-backend=cu130" in command for command in changed)
    assert make_env() == []
    assert make_env("--torch", "cu130") == []


def test_a_driver_brings_the_build_that_fits_it(install, monkeypatch, tmp_path):
    make_env = Installer(install, monkeypatch, tmp_path)
    monkeypatch.setattr(install.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert any("--torch-backend=auto" in command for command in make_env())


def test_a_failed_installation_is_tried_again(install, monkeypatch, tmp_path):
    make_env = Installer(install, monkeypatch, tmp_path)
    make_env()

    def fail(command, settings=None, hint=""):
        raise SystemExit("no network")

    monkeypatch.setattr(install, "run", fail)
    with pytest.raises(SystemExit):
        make_env("--torch", "cu130")
    assert not install.STAMP.exists()


def test_an_old_python_is_told(install, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["install.py"])
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    with pytest.raises(SystemExit, match=r"Python 3\.11 or newer is needed; .* is 3\.9\.1\. Try: make env PYTHON="):
        install.main()


TINY = {
    "world": {"sizes": {"mlm_documents": 40, "mnli_train": 30, "squad1_train": 30, "squad2_train": 30, "eval": 10}},
}


def test_the_front_door_works_under_a_path_with_spaces(tmp_path):
    if not (ROOT / ".venv/installed.json").is_file():
        pytest.skip("this environment was not made by `make env`")
    clone = tmp_path / "a clone (with spaces)"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    (clone / ".venv").symlink_to(ROOT / ".venv")
    (clone / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    environment.update(CORES="1", ARGS="--configfile config.yaml tiny.yaml --until make_world", EXPERIMENT="", TORCH="")
    done = subprocess.run(
        ["make", "reproduce"], cwd=clone, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (clone / "results/mini/world/manifest.json").is_file()
