"""The resident worker: a job cannot tell it from a Python process of its own, and nothing survives its client."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CLIENT = ROOT / "stilts" / "worker" / "client.py"
PLAIN = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}  # as on a user's machine

JOB = """
import json, os, sys, time
from pathlib import Path
import stilts.colour
mode = sys.argv[1]
if mode == "show":
    seen = {"argv": sys.argv[1:], "cwd": os.getcwd(), "blue": os.environ.get("BLUE"), "home": "HOME" in os.environ,
            "parent": os.getppid(), "torch": "torch" in sys.modules, "name": __name__, "file": sys.argv[0],
            "colour": stilts.colour.NAME, "input": sys.stdin.read()}
    print(json.dumps(seen))
    print("to the error stream", file=sys.stderr)
elif mode == "exit":
    sys.exit(int(sys.argv[2]))
elif mode == "say":
    sys.exit(sys.argv[2])
elif mode == "crash":
    raise RuntimeError("something unforeseen")
elif mode == "die":
    os.kill(os.getpid(), int(sys.argv[2]))
elif mode == "linger":
    Path(sys.argv[2]).write_text(str(os.getpid()))
    time.sleep(60)
    Path(sys.argv[2] + ".done").touch()
"""


def write_project(folder: Path, colour: str) -> Path:
    """Write a project with one job; its modules carry the names of ours."""
    for package in ("stilts", "scripts"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    (folder / "stilts" / "colour.py").write_text(f"NAME = {colour!r}\n")
    (folder / "scripts" / "job.py").write_text(JOB)
    return folder


def wait_for(condition, what: str, seconds: float = 20) -> None:
    """Poll until condition() holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Return whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def start_server(folder: Path, root: Path = ROOT) -> tuple[subprocess.Popen, Path]:
    """Start a worker and wait until it listens."""
    path = folder / "worker socket"
    environment = {**PLAIN, "PYTHONPATH": str(root)}
    server = subprocess.Popen([sys.executable, "-m", "stilts.worker.server", str(path)], env=environment, cwd=root)
    wait_for(lambda: path.exists() or server.poll() is not None, "the worker", 60)
    assert server.poll() is None
    return server, path


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """Return (process, socket) of a worker that all tests of this file share."""
    server, path = start_server(tmp_path_factory.mktemp("worker"))
    yield server, path
    server.terminate()
    assert server.wait(20) == 0


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """Return a project under a path with spaces."""
    return write_project(tmp_path_factory.mktemp("a project") / "with spaces", "red")


def client(socket_path: Path | str, project: Path, *arguments: str, **options) -> subprocess.Popen:
    """Start a job as the workflow does."""
    environment = {**PLAIN, "PYTHONPATH": str(project), "STILTS_WORKER": str(socket_path), "BLUE": "a b\n\udcff"}
    command = [sys.executable, "-S", "-E", str(CLIENT), "-m", "scripts.job", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **{"cwd": project, "env": environment, **pipes, **options})


def finish(process: subprocess.Popen, text: str = "") -> tuple[int, str, str]:
    """Return (status, stdout, stderr)."""
    out, err = process.communicate(text, timeout=60)
    return process.returncode, out, err


def test_a_job_sees_what_an_own_process_would(worker, project, tmp_path):
    answers = []
    for path in (worker[1], ""):
        status, out, err = finish(client(path, project, "show", "two words", "--x={}", cwd=tmp_path), "given text")
        assert (status, err) == (0, "to the error stream\n")
        answers.append(json.loads(out))
    ours, own = answers
    assert ours.pop("parent") == worker[0].pid, "the job was not forked from the worker"
    assert ours.pop("torch")
    assert not own.pop("torch")
    own.pop("parent")
    assert ours == own
    assert ours["cwd"] == str(tmp_path)
    assert ours["blue"] == "a b\n\udcff"
    assert ours["input"] == "given text"
    assert ours["name"] == "__main__"
    assert ours["file"] == str(project / "scripts" / "job.py")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["exit", "0"], 0, ""),
        (["exit", "2"], 2, ""),
        (["exit", "130"], 130, ""),
        (["say", "a last word"], 1, "a last word"),
        (["crash"], 1, "RuntimeError: something unforeseen"),
    ],
    ids=str,
)
def test_exit_status_and_traceback(worker, project, arguments, status, says):
    ours, own = (finish(client(path, project, *arguments)) for path in (worker[1], ""))
    assert ours[0] == own[0] == status
    assert says in ours[2]
    assert says in own[2]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV], ids=str)
def test_a_killed_job_fails(worker, project, number):
    status, _, _ = finish(client(worker[1], project, "die", str(int(number))))
    assert status == 128 + number
    assert finish(client(worker[1], project, "exit", "0"))[0] == 0, "the worker goes on"


def test_a_module_that_does_not_exist(worker, project):
    command = [sys.executable, "-S", "-E", str(CLIENT), "-m", "scripts.nothing"]
    environment = {**PLAIN, "STILTS_WORKER": str(worker[1]), "PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "scripts.nothing" in done.stderr


def test_the_job_ends_with_its_client(worker, project, tmp_path):
    mark = tmp_path / "pid"
    process = client(worker[1], project, "linger", str(mark))
    wait_for(lambda: mark.exists() and mark.read_text(), "the job")
    job = int(mark.read_text())
    assert alive(job)
    assert job != process.pid
    process.kill()
    process.communicate()
    wait_for(lambda: not alive(job), "the end of the job")
    assert finish(client(worker[1], project, "exit", "0"))[0] == 0


def test_job_and_client_killed_together_do_not_end_the_worker(worker, project, tmp_path):
    # As Ctrl-C does it: both events reach the worker in one turn. It is stopped meanwhile, to make sure.
    for attempt in range(3):
        mark = tmp_path / str(attempt)
        process = client(worker[1], project, "linger", str(mark))
        wait_for(lambda mark=mark: mark.exists() and mark.read_text(), "the job")
        os.kill(worker[0].pid, signal.SIGSTOP)
        try:
            job = int(mark.read_text())
            os.kill(job, signal.SIGKILL)
            wait_for(lambda job=job: not alive(job), "the end of the job")
            process.kill()
            process.communicate()
        finally:
            os.kill(worker[0].pid, signal.SIGCONT)
    assert finish(client(worker[1], project, "exit", "0"))[0] == 0
    assert worker[0].poll() is None


def test_output_that_cannot_be_written_fails_one_job_and_no_other(worker, project, tmp_path):
    mark = tmp_path / "pid"
    bystander = client(worker[1], project, "linger", str(mark))
    wait_for(lambda: mark.exists() and mark.read_text(), "the job")
    with open("/dev/full", "w") as full:
        jobs = [client(path, project, "show", stdout=full) for path in (worker[1], "")]
        assert [finish(job)[0] for job in jobs] == [120, 120]
    assert bystander.poll() is None
    assert alive(int(mark.read_text()))
    bystander.kill()
    bystander.communicate()
    assert finish(client(worker[1], project, "exit", "0"))[0] == 0


def test_nonsense_and_half_requests_do_not_end_the_worker(worker, project):
    for nonsense in (b"", b"GET / HTTP/1.1\r\n\r\n", (1 << 20).to_bytes(8, "big") + b"{"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(worker[1]))
        connection.sendall(nonsense)
        connection.close()
    assert finish(client(worker[1], project, "exit", "0"))[0] == 0
    assert worker[0].poll() is None


def test_descriptors_do_not_pile_up(worker, project):
    def count() -> int:
        return len(os.listdir(f"/proc/{worker[0].pid}/fd"))

    finish(client(worker[1], project, "exit", "0"))
    before = count()
    for _ in range(5):
        finish(client(worker[1], project, "exit", "0"))
    wait_for(lambda: count() <= before, "closed descriptors")


def test_ctrl_c_in_the_group_leaves_the_worker_to_its_starter(worker, project):
    worker[0].send_signal(signal.SIGINT)
    assert finish(client(worker[1], project, "exit", "0"))[0] == 0


def test_edits_of_the_project_are_seen_by_the_next_job(worker, tmp_path):
    project = write_project(tmp_path / "p", "red")
    colours = []
    for colour in ("red", "green as grass"):
        (project / "stilts" / "colour.py").write_text(f"NAME = {colour!r}\n")
        colours.append(json.loads(finish(client(worker[1], project, "show"))[1])["colour"])
    (project / "stilts" / "__init__.py").write_text("from stilts import colour\ncolour.NAME = 'set by the package'\n")
    colours.append(json.loads(finish(client(worker[1], project, "show"))[1])["colour"])
    assert colours == ["red", "green as grass", "set by the package"]


LOOK = """
import sys
loaded = "stilts.metrics.qa" in sys.modules
from stilts.metrics import qa
from stilts.provenance.code import code_files
print(loaded, getattr(qa, "COLOUR", None), code_files("scripts.score").get("stilts/metrics/qa.py"))
"""


def test_code_that_the_worker_imported_is_used_until_it_is_edited(tmp_path):
    project = tmp_path / "clone"
    for name in ("stilts", "scripts", "envs"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "scripts" / "job.py").write_text(LOOK)
    server, path = start_server(tmp_path, project)

    def look(cwd: Path = tmp_path) -> list[str]:
        status, out, err = finish(client(path, project, cwd=cwd))
        assert (status, err) == (0, "")
        return out.split()

    try:
        first = look()
        assert first[:2] == ["True", "None"], "the worker's import was not used"
        assert look() == first
        code = project / "stilts" / "metrics" / "qa.py"
        before = code.stat()
        text = code.read_text()
        code.write_text(text + "COLOUR = 'red'\n")
        edited = look()
        assert edited[:2] == ["False", "red"]
        assert edited[2] != first[2], "the digest is that of the code that runs"
        code.write_text(text)
        assert look() == ["False", "None", first[2]], "by its date the file may hold anything"
        os.utime(code, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert look() == first
        # A new package hides a module of the same name, a folder of its own the whole project.
        (project / "stilts" / "metrics" / "qa").mkdir()
        (project / "stilts" / "metrics" / "qa" / "__init__.py").write_text(text + "COLOUR = 'blue'\n")
        assert finish(client(path, project))[1].split()[:2] == ["False", "blue"]
        shutil.rmtree(project / "stilts" / "metrics" / "qa")
        near = write_project(tmp_path / "near", "green")
        assert finish(client(path, project, "show", cwd=near))[1].count('"colour": "green"') == 1
    finally:
        server.terminate()
        server.wait(20)


def test_a_worker_of_broken_code_leaves_it_to_the_job_to_say_so(tmp_path):
    project = tmp_path / "clone"
    for name in ("stilts", "scripts", "envs"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "stilts" / "metrics" / "qa.py").write_text("def broken(:\n")
    server, path = start_server(tmp_path, project)
    command = [sys.executable, "-S", "-E", str(CLIENT), "-m", "scripts.score"]
    environment = {**PLAIN, "PYTHONPATH": str(project), "STILTS_WORKER": str(path)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 1
        assert "SyntaxError" in done.stderr
        assert "qa.py" in done.stderr
    finally:
        server.terminate()
        server.wait(20)


def test_a_real_job_gives_the_same_bytes_in_the_worker(worker, tmp_path):
    from stilts.model.checkpoint import save_encoder
    from stilts.provenance.manifest import write_manifest
    from tests.engine_case import random_encoder, tiny_config

    save_encoder(tmp_path / "e", random_encoder(tiny_config()))
    manifest = write_manifest(tmp_path / "e")
    outputs = []
    for name, path in (("in", str(worker[1])), ("out", "")):
        options = [
            "--spec",
            '{"seed":3}',
            "--encoder",
            str(manifest),
            "--output",
            str(tmp_path / name / "manifest.json"),
        ]
        environment = {**PLAIN, "PYTHONPATH": str(ROOT), "STILTS_WORKER": path}
        command = [sys.executable, "-S", "-E", str(CLIENT), "-m", "scripts.randomise", *options]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        outputs.append((tmp_path / name / "manifest.json").read_bytes())
    assert outputs[0] == outputs[1]
    (tmp_path / "e" / "config.json").unlink()
    command[-1] = str(tmp_path / "no" / "manifest.json")
    environment["STILTS_WORKER"] = str(worker[1])
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("path", ["", "/nowhere/worker"])
def test_without_a_worker_the_job_is_an_ordinary_process(project, path):
    assert finish(client(path, project, "exit", "7"))[0] == 7


def test_a_socket_that_nobody_serves_is_no_obstacle(project, tmp_path):
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "w"))
    dead.close()
    assert finish(client(tmp_path / "w", project, "exit", "7"))[0] == 7


def test_other_python_commands_pass_through(worker):
    command = [sys.executable, "-S", "-E", str(CLIENT), "-c", "import sys; sys.exit(5)"]
    environment = {**PLAIN, "STILTS_WORKER": str(worker[1])}
    assert subprocess.run(command, env=environment, check=False).returncode == 5


def test_when_the_worker_is_killed_its_jobs_end_and_their_clients_fail(project, tmp_path):
    server, path = start_server(tmp_path)
    mark = tmp_path / "pid"
    process = client(path, project, "linger", str(mark))
    wait_for(lambda: mark.exists() and mark.read_text(), "the job")
    server.kill()
    server.wait()
    status, _, err = finish(process)
    assert status == 70
    assert "the resident worker ended while this job ran" in err
    wait_for(lambda: not alive(int(mark.read_text())), "the end of the job")
    assert finish(client(path, project, "exit", "7"))[0] == 7, "the next job runs by itself"
