"""Run `python ARGS...` in the resident worker if there is one, else as an ordinary process.

Called by the workflow as `python -S -E client.py -m scripts.<rule> ...`; imports next to nothing. The worker forks a
child with this process's files, folder and environment; its exit status becomes ours, and the child dies with us.
SIGTERM and SIGUSR1 are passed on. Ctrl-C reaches the child by itself, so it is only waited for.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import sys


def main(argv: list[str]) -> int:
    """Return the exit status of the job."""
    path = os.environ.get("STILTS_WORKER", "")
    connection = _connect(path) if argv[:1] == ["-m"] else None
    if connection is None:
        os.execv(sys.executable, [sys.executable, *argv])
    request = json.dumps({"argv": argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}).encode()
    files = array.array("i", [0, 1, 2])
    header = len(request).to_bytes(8, "big")
    try:
        connection.sendmsg([header], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        connection.sendall(request)
        _pass_on(connection)
        status = connection.recv(1)
    except OSError:
        status = b""
    if not status:
        print("error: the resident worker ended while this job ran; run the same command again", file=sys.stderr)
        return 70
    return status[0]


def _pass_on(connection: socket.socket) -> None:
    def pass_on(number: int, _: object) -> None:
        with contextlib.suppress(OSError):  # the job just ended
            connection.send(bytes([number]))

    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, pass_on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _connect(path: str) -> socket.socket | None:
    if not path:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except OSError:
        return None
    return connection


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
