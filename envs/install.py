"""Make `.venv` what the lock says. Usage: python3 envs/install.py [--torch cpu|auto|cu130|...]

Runs on a bare Python (standard library only). Does nothing when `.venv` was made from this very lock and torch choice.
The lock goes in with hashes and without resolving; torch goes in alone after it, because one hashed line cannot
stand for its CPU and its CUDA build. Without a choice a machine gets the build it got before, else the CPU build
where there is no NVIDIA driver.
"""

from __future__ import annotations

import argparse
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ENVS = Path(__file__).resolve().parent
VENV = ENVS.parent / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "installed.json"
LOCK, TORCH, UV = ENVS / "requirements.lock", ENVS / "torch.txt", ENVS / "bootstrap.lock"

NO_TORCH = """
Where PyTorch's own index cannot be reached, name a folder that holds a wheel of the CPU build:
    PIP_FIND_LINKS=/path/to/folder make env"""


def main() -> None:
    """Bring `.venv` up to date, or stop with one message."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", default="", help="cpu, auto (by the driver), or a CUDA build such as cu130")
    wanted = parser.parse_args().torch
    if sys.version_info < (3, 11):  # noqa: UP036 (this file runs on whatever Python there is)
        version = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Python 3.11 or newer is needed; {sys.executable} is {version}. Try: make env PYTHON=python3.11")
    before = json.loads(STAMP.read_text()) if STAMP.is_file() else {}
    choice = wanted or before.get("torch") or ("auto" if shutil.which("nvidia-smi") else "cpu")
    inputs = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (LOCK, TORCH, UV, Path(__file__))}
    now = {"torch": choice, "inputs": inputs}
    if before == now and works([PYTHON, "-c", ""]):
        return
    STAMP.unlink(missing_ok=True)  # an interrupted installation must not look finished
    make_venv()
    settings = uv_settings()
    fresh = ["--reinstall-package", "torch"] if before and before.get("torch") != choice else []
    if works([PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", UV]):
        install = [PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON]
        run([*install, "--require-hashes", "--no-deps", "--requirement", LOCK], settings)
        run([*install, *fresh, *torch_by_uv(choice, settings)], settings, hint=NO_TORCH)
        run([PYTHON, "-m", "uv", "pip", "check", "--python", PYTHON], settings)
    else:
        print("uv could not be installed; going on with pip, which takes longer", flush=True)
        install = [PYTHON, "-m", "pip", "install"]
        run([*install, "--require-hashes", "--no-deps", "--requirement", LOCK])
        run([*install, *(["--force-reinstall", "--no-deps"] if fresh else []), torch_by_pip(choice)], hint=NO_TORCH)
    STAMP.write_text(json.dumps(now, indent=1) + "\n")


def make_venv() -> None:
    """Create `.venv`, or replace one whose Python is gone or too old; a sound one is kept."""
    sound = works([PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"])
    if not sound:
        print(f"Creating {VENV.name} with Python {sys.version.split()[0]}", flush=True)
        if not works([sys.executable, "-m", "venv", "--clear", VENV]):
            sys.exit(f"{sys.executable} cannot make a virtual environment (Debian: apt-get install python3-venv)")
    elif not works([PYTHON, "-m", "pip", "--version"], quiet=True):
        run([PYTHON, "-m", "ensurepip"])


def pip_setting(name: str) -> str:
    """Return pip's own setting (environment or configuration file), or the empty string."""
    by_environment = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if by_environment:
        return by_environment
    reply = subprocess.run(
        [PYTHON, "-m", "pip", "config", "get", f"global.{name}"], capture_output=True, text=True, check=False
    )
    return reply.stdout.strip() if reply.returncode == 0 else ""


def uv_settings() -> dict[str, str]:
    """Return the environment that gives uv, which does not read pip's settings, the same index and wheel folders."""
    found = {"UV_DEFAULT_INDEX": pip_setting("index-url"), "UV_FIND_LINKS": ",".join(pip_setting("find-links").split())}
    return {key: value for key, value in found.items() if value and key not in os.environ}


def local_cpu_wheel(folders: str) -> str:
    """Return the CPU build of torch that a wheel folder holds for this Python as a requirement, or ""."""
    name = TORCH.read_text().strip().replace("==", "-")
    abi = subprocess.run(
        [PYTHON, "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True
    ).stdout.strip()
    for folder in folders.replace(",", " ").split():
        if glob.glob(f"{glob.escape(folder)}/{name}+cpu-{abi}-*.whl"):
            return TORCH.read_text().strip() + "+cpu"
    return ""


def torch_by_uv(choice: str, settings: dict[str, str]) -> list[str]:
    """Return the arguments that make uv install the chosen build and no other."""
    folders = settings.get("UV_FIND_LINKS", os.environ.get("UV_FIND_LINKS", ""))
    wheel = local_cpu_wheel(folders) if choice == "cpu" else ""
    return [wheel] if wheel else [f"--torch-backend={choice}", TORCH.read_text().strip()]


def torch_by_pip(choice: str) -> str:
    """Return the requirement for pip. `+cpu` exists in wheel folders only: pip stops rather than fetch CUDA."""
    return TORCH.read_text().strip() + ("+cpu" if choice == "cpu" and sys.platform == "linux" else "")


def works(command: list, quiet: bool = False) -> bool:
    """Whether a command can be run and succeeds."""
    try:
        return subprocess.run(list(map(str, command)), capture_output=quiet, check=False).returncode == 0
    except OSError:
        return False


def run(command: list, settings: dict[str, str] | None = None, hint: str = "") -> None:
    """Run a command; on failure say which one, and what may help, and stop."""
    command = list(map(str, command))
    code = subprocess.run(command, env={**os.environ, **(settings or {})}, check=False).returncode
    if code:
        sys.exit(f"The environment is not complete, this failed ({code}): {' '.join(command)}{hint}")


if __name__ == "__main__":
    main()
