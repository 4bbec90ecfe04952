"""The resident worker: imports the heavy packages once and forks a child for every job.

Usage: python -m stilts.worker.server SOCKET   (started and stopped by the workflow; ends with whoever started it)

Importing torch costs seconds of CPU time a process, more than many of the study's jobs compute. A forked child starts
in milliseconds. The project's own code is imported as well; a child reads it afresh once any of its files was edited.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import importlib
import os
import runpy
import selectors
import signal
import socket
import sys
import traceback
from dataclasses import dataclass

from stilts.worker import preload

PATIENCE = 10.0  # seconds a client may take to say what it wants
PASSED_ON = (signal.SIGTERM, signal.SIGUSR1)  # a client sends the number of a signal that it got
PR_SET_PDEATHSIG = 1


@dataclass
class Job:
    """A running child, its process handle, and the client that waits for it."""

    pid: int
    handle: int
    client: socket.socket


def serve(path: str) -> None:
    """Answer clients until the starting process ends or SIGTERM comes; then stop the jobs and tell their clients."""
    preload.import_packages()
    preload.import_project()
    preload.freeze()
    selector = selectors.DefaultSelector()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(128)
    parent = os.pidfd_open(os.getppid())
    selector.register(listener, selectors.EVENT_READ, "new")
    selector.register(parent, selectors.EVENT_READ, "parent")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the jobs and the workflow, which then stops us
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # it is for the jobs
    jobs: dict[int, Job] = {}
    try:
        while True:
            for key, _ in selector.select():
                if key.data == "parent":
                    return
                if key.data == "new":
                    _start(listener, selector, jobs)
                else:
                    _attend(selector, jobs, *key.data)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the jobs may have something to save
        for source in (listener, parent):
            selector.unregister(source)
        listener.close()
        for job in jobs.values():
            os.kill(job.pid, signal.SIGTERM)
        while jobs:
            for key, _ in selector.select():
                _attend(selector, jobs, *key.data)


def _start(listener: socket.socket, selector: selectors.BaseSelector, jobs: dict[int, Job]) -> None:
    client, _ = listener.accept()
    client.settimeout(PATIENCE)
    files = array.array("i")
    try:
        request = _receive(client, files)
        client.settimeout(None)
        signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # until child and worker know what to do with them
        pid = os.fork()
    except (OSError, ValueError):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        for file in files:
            os.close(file)
        client.close()
        return
    if pid == 0:
        listener.close()
        _run(request, files)
    for file in files:
        os.close(file)
    job = Job(pid, os.pidfd_open(pid), client)
    jobs[pid] = job
    selector.register(job.handle, selectors.EVENT_READ, (pid, "ended"))
    selector.register(client, selectors.EVENT_READ, (pid, "left"))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)


def _receive(client: socket.socket, files: array.array) -> dict:
    """Return folder, arguments and environment of a job; the descriptors that come along are appended to `files`."""
    header, ancillary, _, _ = client.recvmsg(8, socket.CMSG_SPACE(3 * files.itemsize))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            files.frombytes(data)
    if len(header) != 8 or len(files) != 3:
        raise ValueError("not a request")
    size, body = int.from_bytes(header, "big"), b""
    while len(body) < size:
        part = client.recv(size - len(body))
        if not part:
            raise ValueError("a request broke off")
        body += part
    cwd, count, *rest = os.fsdecode(body).split("\0")
    arguments, variables = rest[: int(count)], rest[int(count) :]
    return {"cwd": cwd, "argv": arguments, "env": dict(v.split("=", 1) for v in variables)}


def _attend(selector: selectors.BaseSelector, jobs: dict[int, Job], pid: int, what: str) -> None:
    """Deal with the end of a job, or with what its client says."""
    if what == "ended":
        _end(selector, jobs.pop(pid))
    elif pid in jobs:  # else it just ended
        _hear(selector, jobs[pid])


def _hear(selector: selectors.BaseSelector, job: Job) -> None:
    """Pass a client's signals on to its job; a client that went away takes its job along."""
    try:
        said = job.client.recv(64)
    except OSError:
        said = b""
    if not said:
        selector.unregister(job.client)
    for number in said or [signal.SIGTERM]:
        if number in PASSED_ON:
            os.kill(job.pid, number)


def _end(selector: selectors.BaseSelector, job: Job) -> None:
    _, status = os.waitpid(job.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    selector.unregister(job.handle)
    os.close(job.handle)
    with contextlib.suppress(OSError):  # the client left
        job.client.sendall(bytes([code if code >= 0 else 128 - code]))
    with contextlib.suppress(KeyError, ValueError):
        selector.unregister(job.client)
    job.client.close()


def _run(request: dict, files: array.array) -> None:
    """Become the job: take over files, folder, environment and arguments; never return."""
    status = 70
    try:
        for number in PASSED_ON:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # no job outlives a worker that was killed
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        _look_like_new(request)
        module, *arguments = request["argv"]
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # a full disk under the log; Python's own status for it
                status = status or 120
        os._exit(status)  # whatever happened, this process must not go on as a second worker


def _look_like_new(request: dict) -> None:
    """Import from where `python -m` would, and nothing of the project as it no longer is."""
    own = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.path[:] = [request["cwd"], *own, *PLAIN_PATH]
    if not preload.is_current(request["cwd"], own):
        preload.forget()
    importlib.invalidate_caches()


def _plain_path() -> list[str]:
    """Return where packages are found without this process's folder and PYTHONPATH."""
    own = [os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    return [p for p in sys.path[1:] if os.path.abspath(p) not in own]


PLAIN_PATH = _plain_path()

if __name__ == "__main__":
    serve(sys.argv[1])
