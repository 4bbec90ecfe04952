"""A hub for tests and for closed machines: serves a folder in hub layout on 127.0.0.1, with faults on demand.

Usage: python -m tests.hub_server FOLDER [--port N] [-- COMMAND ...]
With a command, it runs with HF_ENDPOINT set to this server, which stops afterwards; without one it serves until ^C.

FOLDER/datasets/<org>/<name>/ and FOLDER/models/<org>/<name>/ are repositories, FOLDER/raw/ plain files. A folder
stands for the branch `main` unless FOLDER/REVISIONS.tsv (repository TAB revision) says `refs/convert/parquet`; such a
repository has a loading script on `main`, as on the hub. Commit ids are made from the content.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

CONVERT = "refs/convert/parquet"
LARGE = (".parquet", ".safetensors", ".bin", ".model")  # stored with sha256 (LFS); others with git's blob id
SMALL = 1 << 20  # bytes
DATE = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class File:
    """A file of a repository: its bytes are at `path`, or are `content` (small files: old commits keep them)."""

    path: Path | None
    content: bytes = b""

    @property
    def data(self) -> bytes:
        return self.path.read_bytes() if self.path else self.content


@dataclass(frozen=True)
class Stated:
    """What the server says about a file."""

    size: int
    sha256: str
    blob_id: str
    large: bool

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.blob_id

    def entry(self, name: str) -> dict[str, Any]:
        lfs = {"lfs": {"oid": self.sha256, "size": self.size, "pointerSize": 134}} if self.large else {}
        return {"type": "file", "oid": self.blob_id, "size": self.size, "path": name, **lfs}


@dataclass
class View:
    """One commit."""

    commit: str
    files: dict[str, File]
    stated: dict[str, Stated]


@dataclass
class Fault:
    """What goes wrong for URL paths that contain `pattern`.

    kind: `corrupt` (a flipped byte, right length), `cut` (connection closed half-way), `short` (half a body, stated as
    whole), `gated`, `missing`, or an HTTP status. times: how often; None: always.
    """

    pattern: str
    kind: str | int
    times: int | None = None


def load(path: Path) -> File:
    """Return a file of a folder."""
    return File(path) if path.stat().st_size > SMALL else File(None, path.read_bytes())


def state(name: str, data: bytes) -> Stated:
    """Return what a git hosting site states about a file."""
    large = name.endswith(LARGE)
    sha256 = hashlib.sha256(data).hexdigest()
    body = data
    if large:
        body = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(data)}\n".encode()
    return Stated(len(data), sha256, hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest(), large)


def view(files: dict[str, File]) -> View:
    """Return a commit whose id follows from its files."""
    stated = {name: state(name, file.data) for name, file in sorted(files.items())}
    text = json.dumps([(name, fact.sha256) for name, fact in stated.items()])
    return View(hashlib.sha1(text.encode()).hexdigest(), files, stated)


@dataclass
class HubServer:
    """Serve `folder` inside a `with`. `requests` lists (method, path); `faults` may be changed at any time."""

    folder: Path
    port: int = 0
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.refs: dict[tuple[str, str], dict[str, str]] = {}  # (kind, id) -> branch -> commit
        self.commits: dict[tuple[str, str], dict[str, View]] = {}
        self.scan()
        self.http = ThreadingHTTPServer(("127.0.0.1", self.port), type("BoundHandler", (Handler,), {"hub": self}))
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> HubServer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    def scan(self, keep_history: bool = True) -> None:
        """Read the folder again, as after a push; old commits stay unless history was rewritten."""
        if not keep_history:
            self.commits.clear()
        converted = set()
        if (self.folder / "REVISIONS.tsv").is_file():
            rows = [line.split("\t") for line in (self.folder / "REVISIONS.tsv").read_text().splitlines()]
            converted = {row[0] for row in rows if len(row) > 1 and row[1] == CONVERT}
        for kind in ("datasets", "models"):
            for home in sorted(p for p in self.folder.glob(f"{kind}/*/*") if p.is_dir()):
                name = f"{home.parent.name}/{home.name}"
                files = {p.relative_to(home).as_posix(): load(p) for p in home.rglob("*") if p.is_file()}
                branches = {"main": files}
                if name in converted:
                    script = File(None, b"# a loading script; not mirrored\n")
                    card = {k: v for k, v in files.items() if k == "README.md"}
                    tables = {k: v for k, v in files.items() if k.endswith(".parquet")}
                    branches = {"main": {**card, f"{home.name}.py": script}, CONVERT: tables}
                views = {branch: view(found) for branch, found in branches.items()}
                self.refs[kind, name] = {branch: v.commit for branch, v in views.items()}
                self.commits.setdefault((kind, name), {}).update({v.commit: v for v in views.values()})

    def fault(self, path: str) -> str | int | None:
        """Return what shall go wrong for this path, and count it."""
        for fault in self.faults:
            if fault.pattern in path and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault.kind
        return None


class Handler(BaseHTTPRequestHandler):
    """The read calls that huggingface_hub, datasets and transformers make."""

    protocol_version = "HTTP/1.1"
    hub: HubServer

    def log_message(self, *_: object) -> None:
        """Keep the log quiet."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match = re.fullmatch(r"/api/(datasets|models)/([^/]+/[^/]+)/paths-info/(.+)", unquote(urlsplit(self.path).path))
        if not match:
            return self.fail(404, "EntryNotFound")
        found = self.find(match[1], match[2], match[3])
        if found is None:
            return None
        is_json = "json" in (self.headers.get("Content-Type") or "")
        paths = json.loads(body).get("paths", []) if is_json else parse_qs(body.decode()).get("paths", [])
        paths = [paths] if isinstance(paths, str) else paths
        return self.reply([found.stated[p].entry(p) for p in paths if p in found.stated])

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        self.hub.requests.append((self.command, path))
        fault = self.hub.fault(path) if self.command == "GET" or "/api/" in path else None
        if isinstance(fault, int):
            return self.fail(fault)
        if fault == "gated":
            return self.fail(403, "GatedRepo")
        if fault == "missing":
            return self.fail(404, "EntryNotFound")
        if path.startswith("/raw/"):
            return self.raw(path, fault)
        match = re.fullmatch(r"/api/(datasets|models)/([^/]+/[^/]+)(?:/(revision|tree|refs)(?:/(.+))?)?", path)
        if match:
            return self.answer(match, parse_qs(url.query))
        match = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/(refs/[^/]+/[^/]+|[^/]+)/(.+)", path)
        if not match:
            return self.fail(404, "EntryNotFound")
        found = self.find("datasets" if match[1] else "models", match[2], match[3])
        if found is None:
            return None
        if match[4] not in found.files:
            return self.fail(404, "EntryNotFound", [("X-Repo-Commit", found.commit)])
        fact = found.stated[match[4]]
        heads = [("ETag", f'"{fact.etag}"'), ("X-Repo-Commit", found.commit)]
        if fact.large:
            heads += [("X-Linked-ETag", f'"{fact.sha256}"'), ("X-Linked-Size", str(fact.size))]
        return self.send(found.files[match[4]].data, heads, fault)

    def answer(self, match: re.Match, query: dict[str, list[str]]) -> None:
        kind, name, what = match[1], match[2], match[3] or "revision"
        if what == "refs":
            branches = [
                {"name": b, "ref": f"refs/heads/{b}", "targetCommit": c} for b, c in self.hub.refs[kind, name].items()
            ]
            return self.reply({"branches": branches, "converts": [], "tags": []})
        revision, _, base = (match[4] or "main").partition("/")
        if (match[4] or "").startswith("refs/"):
            head = re.match(r"refs/[^/]+/[^/]+", match[4])[0]
            revision, base = head, match[4][len(head) + 1 :]
        found = self.find(kind, name, revision)
        if found is None:
            return None
        if what == "revision":
            siblings = [{"rfilename": k} for k in sorted(found.files)]
            about = {"author": name.split("/")[0], "downloads": 0, "likes": 0, "lastModified": DATE, "createdAt": DATE}
            flags = {"private": False, "gated": False, "disabled": False, "tags": []}
            return self.reply(
                {"_id": "0" * 24, "id": name, "sha": found.commit, "siblings": siblings, **about, **flags}
            )
        recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
        prefix = base.strip("/") + "/" if base else ""
        entries: dict[str, dict] = {}
        for path in sorted(p for p in found.files if p.startswith(prefix)):
            steps = path[len(prefix) :].split("/")
            for depth in range(1, len(steps) if recursive else min(2, len(steps))):
                folder = prefix + "/".join(steps[:depth])
                entries.setdefault(folder, {"type": "directory", "oid": "0" * 40, "size": 0, "path": folder})
            if recursive or len(steps) == 1:
                entries[path] = found.stated[path].entry(path)
        return self.reply(list(entries.values())) if entries else self.fail(404, "EntryNotFound")

    def raw(self, path: str, fault: str | int | None) -> None:
        file = (self.hub.folder / path.lstrip("/")).resolve()
        if not file.is_file() or not file.is_relative_to((self.hub.folder / "raw").resolve()):
            return self.fail(404, "EntryNotFound")
        data = file.read_bytes()
        digest = hashlib.sha256(data).digest()
        heads = [("ETag", f'"{digest.hex()}"'), ("Repr-Digest", f"sha-256=:{base64.b64encode(digest).decode()}:")]
        return self.send(data, heads, fault)

    def find(self, kind: str, name: str, revision: str) -> View | None:
        """Return a commit, or answer that the repository or the revision is missing."""
        refs = self.hub.refs.get((kind, name))
        if refs is None:
            self.fail(404, "RepoNotFound")
            return None
        found = self.hub.commits[kind, name].get(refs.get(revision, revision))
        if found is None:
            self.fail(404, "RevisionNotFound")
        return found

    def send(self, data: bytes, heads: list[tuple[str, str]], fault: str | int | None) -> None:
        """Send a file or the part of it that is asked for, with what shall go wrong."""
        etag = dict(heads)["ETag"]
        if self.headers.get("If-None-Match") == etag:
            return self.start(304, 0, heads)
        if fault == "corrupt":
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        first, last, code = 0, len(data) - 1, 200
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if asked and self.headers.get("If-Range", etag) == etag:
            if asked[1] and int(asked[1]) >= len(data):
                return self.start(416, 0, [("Content-Range", f"bytes */{len(data)}")])
            start, end = asked.groups()
            first, last = (int(start), min(int(end or last), last)) if start else (max(0, len(data) - int(end)), last)
            code = 206
            heads = [*heads, ("Content-Range", f"bytes {first}-{last}/{len(data)}")]
        body = data[first : last + 1]
        if fault == "short":
            body = body[: len(body) // 2]
        self.start(code, len(body), [*heads, ("Accept-Ranges", "bytes"), ("Content-Type", "application/octet-stream")])
        if self.command == "HEAD":
            return None
        if fault == "cut":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return None
        self.wfile.write(body)
        return None

    def reply(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.start(200, len(body), [("Content-Type", "application/json")])
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status: int, code: str = "", heads: list[tuple[str, str]] | None = None) -> None:
        extra = [("X-Error-Code", code), ("X-Error-Message", code)] if code else []
        self.start(status, 0, [*(heads or []), *extra])

    def start(self, status: int, length: int, heads: list[tuple[str, str]]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in heads:
            self.send_header(name, value)
        self.end_headers()


def main(argv: list[str]) -> int:
    """Serve by hand, or around a command; return its exit status."""
    command = argv[argv.index("--") + 1 :] if "--" in argv else []
    parser = argparse.ArgumentParser(prog="python -m tests.hub_server", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with datasets/, models/ and raw/")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    args = parser.parse_args(argv[: argv.index("--")] if "--" in argv else argv)
    if not args.folder.is_dir():
        parser.error(f"there is no folder {args.folder}")
    with HubServer(args.folder, args.port) as hub:
        print(f"{hub.url}", flush=True)
        if command:
            return subprocess.run(command, env={**os.environ, "HF_ENDPOINT": hub.url}, check=False).returncode
        try:
            hub.thread.join()
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
