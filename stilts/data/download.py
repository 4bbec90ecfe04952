"""The one downloader of raw files over HTTP: checked, resumed, atomic.

A download is kept in a cache folder under the URL's hash: `.part` and `.etag` while it grows, `.data` and `.json` (ETag
and sha256) when it is whole. A cut connection goes on where it stopped, also in a later run.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stilts.errors import UserError
from stilts.progress import Progress

BLOCK = 1 << 20
LONG = 50 << 20  # bytes from which a download shows its progress
PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds before each new attempt
TIMEOUT = 30.0  # seconds without any byte


class Broken(Exception):
    """An attempt failed in a way that another may mend."""


@dataclass(frozen=True)
class Entry:
    """The files of one URL in the cache."""

    part: Path
    tag: Path
    data: Path
    info: Path
    guard: Path


def download(
    url: str, target: Path, cache: Path, *, sha256: str | None = None, key: str = "", offline: bool = False
) -> str:
    """Bring a URL's content to `target` (atomically) and return its sha256.

    cache: folder for partial and finished downloads; sha256: what the content must have, if known; key: name of the
    content in the cache, where the URL itself changes (ports of a local server). Raises UserError: missing (404),
    forbidden, no network and not cached, cut or failing server after all attempts, wrong checksum twice.
    """
    from filelock import FileLock

    shown = _shown(url)
    if urlsplit(url).scheme not in ("http", "https"):
        raise UserError(f"{url.rsplit('@', maxsplit=1)[-1]} is not an http or https URL")
    name = hashlib.sha256((key or url).encode()).hexdigest()[:24]
    entry = Entry(*(cache / f"{name}.{end}" for end in ("part", "etag", "data", "json", "lock")))
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(entry.guard):
        digest = _finished(entry)
        if offline and digest is None:
            raise UserError(f"HF_HUB_OFFLINE is set and {shown} is not in the cache {cache}: run once with network")
        if not offline and (digest is None or sha256 is None or digest != sha256):
            digest = _fetch(url, shown, entry, sha256, digest)
        if sha256 is not None and digest != sha256:
            raise UserError(
                f"{shown} has the sha256 {digest}, not {sha256} as at the first fetch: the file has changed, or the "
                "connection changes it. Take the new one by deleting the old checksum from revisions.lock.yaml."
            )
        _place(entry.data, target)
    return digest


def _finished(entry: Entry) -> str | None:
    """Return the sha256 of a whole, unspoilt download in the cache, or None."""
    if not (entry.data.is_file() and entry.info.is_file()):
        return None
    digest = _sha256(entry.data)
    if _read_info(entry).get("sha256") == digest:
        return digest
    entry.data.replace(entry.data.with_suffix(".wrong"))
    return None


def _fetch(url: str, shown: str, entry: Entry, sha256: str | None, have: str | None) -> str:
    """Make `entry.data` whole; return its sha256. have: sha256 of what is there, asked for only if it has changed."""
    wrong = 0
    problem = ""
    for pause in (*PAUSES, None):
        try:
            stated = _attempt(url, shown, entry, have if sha256 is None else None)
        except Broken as error:
            problem = str(error)
        else:
            if stated is None:
                return have or ""
            digest = _sha256(entry.part)
            expected = sha256 or stated
            if not expected or digest == expected:
                entry.part.replace(entry.data)
                entry.info.write_text(json.dumps({"etag": entry.tag.read_text(), "sha256": digest}))
                return digest
            entry.part.unlink()
            wrong += 1
            if wrong == 2:
                raise UserError(
                    f"{shown} came twice with the sha256 {digest}, not {expected}. Either the file has changed (then "
                    "delete its line from revisions.lock.yaml) or the connection or a proxy spoils it."
                )
            problem = "wrong checksum"
        if pause is not None:
            print(f"{shown}: {problem}; trying again in {pause:.0f} s", file=sys.stderr)
            time.sleep(pause)
    if have is not None and problem.startswith("no connection"):
        print(f"{shown} cannot be reached: taking the copy in the cache", file=sys.stderr)
        return have
    raise UserError(f"{shown}: {problem}, {len(PAUSES) + 1} attempts. What came is kept: run again to go on.")


def _attempt(url: str, shown: str, entry: Entry, have: str | None) -> str | None:
    """Download into `entry.part`, going on where it ends; return the sha256 the server states ("" if none), or None
    when the server says that what we have is current."""
    tag = entry.tag.read_text() if entry.tag.is_file() else ""
    start = entry.part.stat().st_size if entry.part.is_file() and tag else 0
    headers = {"User-Agent": "stilts", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": tag}
    elif have is not None and _read_info(entry).get("etag"):
        headers["If-None-Match"] = _read_info(entry)["etag"]
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as response:
            return _receive(response, shown, entry, start)
    except urllib.error.HTTPError as error:
        if error.code == 304:
            return None
        if error.code == 416:  # what we have is not a beginning of what is there now
            entry.part.unlink(missing_ok=True)
            raise Broken("the partial download does not fit any more") from None
        if error.code in (408, 429) or error.code >= 500:
            raise Broken(f"HTTP {error.code}") from None
        if error.code in (401, 403):
            raise UserError(f"{shown}: access refused (HTTP {error.code})") from None
        raise UserError(f"{shown}: there is no such file (HTTP {error.code})") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(error, urllib.error.URLError):
            raise Broken(f"no connection ({reason})") from None
        raise Broken(f"the connection broke ({type(error).__name__})") from None


def _receive(response: Any, shown: str, entry: Entry, start: int) -> str:
    heads = response.headers
    resumed = response.status == 206 and (heads.get("Content-Range") or "").startswith(f"bytes {start}-")
    length = heads.get("Content-Length")
    total = int(length) + (start if resumed else 0) if length else None
    entry.tag.write_text(_strong(heads.get("ETag")))
    with entry.part.open("ab" if resumed else "wb") as file, ExitStack() as stack:
        watch = stack.enter_context(Progress(shown, total)) if total and total >= LONG else None
        if watch and resumed:
            watch.update(start)
        while block := response.read(BLOCK):
            file.write(block)
            if watch:
                watch.update(len(block))
    size = entry.part.stat().st_size
    if total is not None and size < total:
        raise Broken(f"the connection was cut after {size} of {total} bytes")
    # RFC 9530: servers may state the checksum of the whole content.
    match = re.search(r"sha-256=:([A-Za-z0-9+/=]+):", heads.get("Repr-Digest") or "")
    return base64.b64decode(match[1]).hex() if match else ""


def _strong(etag: str | None) -> str:
    return "" if etag is None or etag.startswith("W/") else etag


def _read_info(entry: Entry) -> dict[str, str]:
    try:
        return json.loads(entry.info.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def _place(data: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    shutil.copyfile(data, part)
    os.replace(part, target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shown(url: str) -> str:
    split = urlsplit(url)
    return f"{split.scheme}://{split.hostname or ''}{f':{split.port}' if split.port else ''}{split.path}"
