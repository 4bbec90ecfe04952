"""Run `python ARGS...` in the resident worker if there is one, else as an ordinary process.

Called by the workflow as `python -S -E client.py -m scripts.<rule> ...`. The worker forks a child with this process's
files, folder and environment; its exit status becomes ours, and the child dies with us. SIGTERM and SIGUSR1 are passed
on. Ctrl-C reaches the child by itself, so it is only waited for.

Every job starts with one of these, so it imports modules in C alone: `socket` and `signal` make enumerations of all
they name, which with `json` takes longer than Python's start.
"""

from __future__ import annotations

import _signal
import _socket
import os
import sys


def main(argv: list[str]) -> int:
    """Return the exit status of the job."""
    path = os.environ.get("STILTS_WORKER", "")
    connection = _connect(path) if argv[:1] == ["-m"] else None
    if connection is None:
        os.execv(sys.executable, [sys.executable, *argv])
    # Neither arguments nor variables can hold a NUL.
    variables = [f"{name}={value}" for name, value in os.environ.items()]
    request = os.fsencode("\0".join([os.getcwd(), str(len(argv) - 1), *argv[1:], *variables]))
    files = b"".join(file.to_bytes(4, sys.byteorder) for file in (0, 1, 2))
    try:
        connection.sendmsg([len(request).to_bytes(8, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
        connection.sendall(request)
        _pass_on(connection)
        status = connection.recv(1)
    except OSError:
        status = b""
    if not status:
        print("error: the resident worker ended while this job ran; run the same command again", file=sys.stderr)
        return 70
    return status[0]


def _pass_on(connection: _socket.socket) -> None:
    def pass_on(number: int, _: object) -> None:
        try:
            connection.send(bytes([number]))
        except OSError:
            return  # the job just ended

    for number in (_signal.SIGTERM, _signal.SIGUSR1):
        _signal.signal(number, pass_on)
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)


def _connect(path: str) -> _socket.socket | None:
    if not path:
        return None
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except OSError:
        return None
    return connection


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
