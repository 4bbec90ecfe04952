"""The resident worker: imports the heavy packages once and forks a child for every job.

Usage: python -m stilts.worker.server SOCKET   (started and stopped by the workflow; ends with the process that started it)

Importing torch costs seconds of CPU time a process, more than many of the study's jobs compute. A forked child starts
in milliseconds. Only third-party packages are imported here: a child reads the project's own code afresh.
"""

from __future__ import annotations

import array
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import traceback
from dataclasses import dataclass


@dataclass
class Job:
    """A running child, its process handle, and the client that waits for it."""

    pid: int
    handle: int
    client: socket.socket


def serve(path: str) -> None:
    """Answer clients until the starting process ends or SIGTERM comes."""
    _import_heavy()
    selector = selectors.DefaultSelector()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(128)
    parent = os.pidfd_open(os.getppid())
    selector.register(listener, selectors.EVENT_READ, "new")
    selector.register(parent, selectors.EVENT_READ, "parent")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    jobs: dict[int, Job] = {}
    try:
        while True:
            for key, _ in selector.select():
                if key.data == "parent":
                    return
                if key.data == "new":
                    _start(listener, selector, jobs)
                elif key.data[1] == "ended":
                    _end(selector, jobs.pop(key.data[0]))
                else:  # the client went away: so must its job
                    selector.unregister(key.fileobj)
                    if key.data[0] in jobs:
                        os.kill(key.data[0], signal.SIGTERM)
    finally:
        for job in jobs.values():
            os.kill(job.pid, signal.SIGTERM)


def _import_heavy() -> None:
    import numpy  # noqa: F401
    import pandas  # noqa: F401  (pyarrow imports it at the first conversion)
    import pyarrow.parquet
    import pydantic  # noqa: F401
    import safetensors.torch
    import tokenizers  # noqa: F401
    import torch  # noqa: F401

    gc.collect()
    gc.freeze()  # keeps the shared pages shared


def _start(listener: socket.socket, selector: selectors.BaseSelector, jobs: dict[int, Job]) -> None:
    client, _ = listener.accept()
    try:
        request, files = _receive(client)
    except (OSError, ValueError):
        client.close()
        return
    pid = os.fork()
    if pid == 0:
        listener.close()
        _run(request, files)
    for file in files:
        os.close(file)
    job = Job(pid, os.pidfd_open(pid), client)
    jobs[pid] = job
    selector.register(job.handle, selectors.EVENT_READ, (pid, "ended"))
    selector.register(client, selectors.EVENT_READ, (pid, "left"))


def _receive(client: socket.socket) -> tuple[dict, list[int]]:
    files = array.array("i")
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
    return json.loads(body), list(files)


def _end(selector: selectors.BaseSelector, job: Job) -> None:
    _, status = os.waitpid(job.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    selector.unregister(job.handle)
    os.close(job.handle)
    try:
        job.client.sendall(bytes([code if code >= 0 else 128 - code]))
    except OSError:
        pass  # the client left
    try:
        selector.unregister(job.client)
    except (KeyError, ValueError):
        pass
    job.client.close()


def _run(request: dict, files: list[int]) -> None:
    """Become the job: take over files, folder, environment and arguments; never return."""
    status = 70
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        module, *arguments = request["argv"]
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])
