"""The hub's own client with what it lacks: a pinned commit, checked bytes, and no other cached revision.

The clients accept corrupt bytes of the right length, and `load_dataset` silently takes another cached revision when
the wanted one cannot be had. So: resolve a commit, download exactly its files, compare every file with the sha256
(small files: git blob id) that the repository states, and read only those files.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from stilts.data.bars import bar_class
from stilts.data.pins import is_commit
from stilts.errors import UserError

OFFICIAL = "https://huggingface.co"
PAUSES = (1.0, 2.0, 4.0)  # seconds before each new attempt
Result = TypeVar("Result")


class Unreachable(Exception):
    """The endpoint cannot be reached, or HF_HUB_OFFLINE forbids trying."""


class NoRevision(UserError):
    """The repository exists, the revision does not."""


@dataclass(frozen=True)
class Repo:
    """A repository of the hub. kind: `dataset` or `model`."""

    id: str
    kind: str = "dataset"

    def __str__(self) -> str:
        return f"{self.kind} repository {self.id}"


@dataclass(frozen=True)
class FileFact:
    """What the repository states about a file; sha256 for large (LFS) files, blob_id (git's sha1) for the others."""

    size: int
    sha256: str | None
    blob_id: str | None


def without_credentials(url: str) -> str:
    """Return a URL without user name, password and query, fit to be shown."""
    split = urlsplit(url)
    host = split.hostname or ""
    return f"{split.scheme}://{host}{f':{split.port}' if split.port else ''}{split.path}".rstrip("/")


class Hub:
    """An endpoint and a cache, as HF_ENDPOINT, HF_HOME / HF_HUB_CACHE and HF_HUB_OFFLINE say when this is made."""

    def __init__(self) -> None:
        from huggingface_hub import HfApi, constants

        self.endpoint = (os.environ.get("HF_ENDPOINT") or OFFICIAL).rstrip("/")
        self.official = self.endpoint == OFFICIAL
        self.offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
        home = os.environ.get("HF_HOME")
        self.home = Path(home).expanduser() if home else Path(constants.HF_HOME)
        cache = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
        self.cache = Path(cache).expanduser() if cache else self.home / "hub"
        self.own = self.home / "stilts"
        self.shown = without_credentials(self.endpoint)
        self.unreachable = "HF_HUB_OFFLINE is set." if self.offline else ""  # why no call is tried any more
        self.api = HfApi(endpoint=self.endpoint)

    def commit(self, repo: Repo, revision: str) -> str:
        """Ask the endpoint for the commit of a branch, tag or commit.

        Raises NoRevision, other UserErrors (missing, gated), or Unreachable.
        """
        info = self._ask(repo, revision, lambda: self.api.repo_info(repo.id, revision=revision, repo_type=repo.kind))
        return info.sha

    def listing(self, repo: Repo, commit: str) -> dict[str, FileFact]:
        """Return every file of a commit, from the endpoint; raises as `commit` does."""
        from huggingface_hub.hf_api import RepoFile

        def ask() -> list[Any]:
            return list(self.api.list_repo_tree(repo.id, recursive=True, revision=commit, repo_type=repo.kind))

        return {
            entry.path: FileFact(entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)
            for entry in self._ask(repo, commit, ask, retries="none")
            if isinstance(entry, RepoFile)
        }

    def files(self, repo: Repo, commit: str) -> dict[str, FileFact]:
        """Return every file of a commit from the endpoint, or as the cache knows them when it cannot be reached."""
        from huggingface_hub import get_cached_repo_tree
        from huggingface_hub.errors import CachedRepoTreeNotFoundError

        try:
            # The client tries a listing for 24 s before it gives up; this question fails fast.
            self.commit(repo, commit)
            return self.listing(repo, commit)
        except Unreachable as error:
            try:
                tree = get_cached_repo_tree(repo.id, repo_type=repo.kind, revision=commit, cache_dir=self.cache)
            except CachedRepoTreeNotFoundError:
                held = sorted(p.name for p in self._storage(repo).glob("snapshots/*"))
                others = f" It holds other revisions ({', '.join(held)}), which are not used instead." if held else ""
                raise UserError(
                    f"{error} The cache {self.cache} does not hold the {repo} at commit {commit}.{others} "
                    "Run once with network."
                ) from None
            print(f"{error} Reading {repo.id}@{commit[:12]} from the cache.", file=sys.stderr)
            return {entry.path: FileFact(entry.size, None, None) for entry in tree}

    def download(self, repo: Repo, commit: str, files: dict[str, FileFact]) -> Path:
        """Return the folder of a commit after checking that it holds `files` with the bytes the repository states.

        A file whose bytes are wrong is set aside and fetched once more. Raises UserError when it is wrong again, or
        cannot be had.
        """
        folder = self._snapshot(repo, commit, files)
        wrong = [name for name, fact in files.items() if not self._right(folder / name, fact)]
        if wrong:
            for name in wrong:
                print(
                    f"{repo.id}: {name} has other bytes than the repository states; fetching it again", file=sys.stderr
                )
                _set_aside(folder / name)
            folder = self._snapshot(repo, commit, files)
            wrong = [name for name in wrong if not self._right(folder / name, files[name])]
        if wrong:
            for name in wrong:
                _set_aside(folder / name)
            raise UserError(
                f"{wrong[0]} of the {repo} (commit {commit}) came twice with other bytes than the sha256 that "
                f"{self.shown} states{f' ({len(wrong)} files)' if len(wrong) > 1 else ''}. The connection, a proxy or "
                "the mirror changes them: try again, or from another network."
            )
        return folder

    def _storage(self, repo: Repo) -> Path:
        return self.cache / f"{repo.kind}s--{repo.id.replace('/', '--')}"

    def _snapshot(self, repo: Repo, commit: str, files: dict[str, FileFact]) -> Path:
        from huggingface_hub import snapshot_download

        folder = self._storage(repo) / "snapshots" / commit
        missing = [name for name in files if not (folder / name).is_file()]
        if not missing:
            return folder

        def fetch() -> str:
            names = [glob.escape(name) for name in missing]
            return snapshot_download(
                repo.id,
                repo_type=repo.kind,
                revision=commit,
                allow_patterns=names,
                cache_dir=self.cache,
                endpoint=self.endpoint,
                tqdm_class=bar_class(),
            )

        try:
            self._ask(repo, commit, fetch, retries="status")
        except Unreachable as error:
            raise UserError(
                f"{error} The cache {self.cache} lacks {len(missing)} files of the {repo} at commit {commit} "
                f"({missing[0]}). Run again with network; what was fetched is kept."
            ) from None
        still = [name for name in missing if not (folder / name).is_file()]
        if still:
            raise UserError(f"{self.shown} did not deliver {', '.join(still[:3])} of the {repo} (commit {commit})")
        return folder

    def _right(self, path: Path, fact: FileFact) -> bool:
        sha256, blob_id = fact.sha256, fact.blob_id
        if sha256 is None and blob_id is None:
            # From the cache: its blobs are named by the sha256 (large files) or the git blob id (small ones).
            name = Path(os.readlink(path)).name if path.is_symlink() else ""
            sha256 = name if re.fullmatch(r"[0-9a-f]{64}", name) else None
            blob_id = name if is_commit(name) else None
        if path.stat().st_size != fact.size:
            return False
        if sha256 is not None:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        if blob_id is not None:
            content = path.read_bytes()
            return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == blob_id
        return True

    def _ask(self, repo: Repo, revision: str, call: Callable[[], Result], retries: str = "all") -> Result:
        """Run a call of the client; its many errors become one clear one.

        retries: `all`, `status` where the client itself retries broken connections, `none` where it retries both.
        """
        if self.unreachable:
            raise Unreachable(self.unreachable)
        for pause in (*(() if retries == "none" else PAUSES), None):
            try:
                return call()
            except Exception as error:
                again = self._translate(repo, revision, error)
                gone = isinstance(again, Unreachable)
                if pause is None or (retries == "status" and gone):
                    self.unreachable = str(again) if gone else ""
                    raise again from None
                time.sleep(pause)
        raise AssertionError

    def _translate(self, repo: Repo, revision: str, error: Exception) -> Exception:
        """Return the error to raise when trying again does not help; raise at once what trying again cannot mend."""
        from huggingface_hub import errors

        web = f"{self.shown}/{'datasets/' if repo.kind == 'dataset' else ''}{repo.id}"
        if isinstance(error, errors.GatedRepoError):
            raise UserError(
                f"The {repo} is gated: accept its terms at {web}, then set HF_TOKEN (or `hf auth login`) and run again"
            ) from None
        if isinstance(error, errors.RevisionNotFoundError):
            raise NoRevision(f"The {repo} has no revision {revision} at {self.shown}") from None
        if isinstance(error, errors.RepositoryNotFoundError):
            raise UserError(
                f"There is no {repo} at {self.shown} for you: check the id; a private one needs HF_TOKEN"
            ) from None
        if isinstance(error, errors.RemoteEntryNotFoundError):
            raise UserError(f"{self.shown} lists files of the {repo} ({revision}) that it does not have") from None
        causes = list(_chain(error))
        statuses = [e.response.status_code for e in causes if getattr(e, "response", None) is not None]
        if statuses and statuses[0] not in (408, 429) and statuses[0] < 500:
            raise UserError(f"{self.shown} refused the {repo} ({revision}): HTTP {statuses[0]}") from None
        if statuses:
            return UserError(f"{self.shown} fails on the {repo} (HTTP {statuses[0]}, several attempts); try later")
        offline = (ConnectionError, errors.LocalEntryNotFoundError, errors.IncompleteSnapshotError)
        # The client's HTTP library changes its name between releases; all call their base class the same.
        if any(isinstance(e, offline) or "TransportError" in {c.__name__ for c in type(e).__mro__} for e in causes):
            return Unreachable(f"{self.shown} cannot be reached ({type(causes[-1]).__name__}).")
        if any(isinstance(e, OSError) and e.errno is None for e in causes):  # the client's word for a short body
            return UserError(f"{self.shown} cuts off files of the {repo} ({revision}), several attempts; try later")
        raise error


def _set_aside(path: Path) -> None:
    """Take a wrong file out of the cache, keeping its bytes beside it for a look."""
    target = Path(os.path.realpath(path))
    for link in list(_links(path)):
        link.unlink(missing_ok=True)
    if target.is_file():
        target.replace(target.with_name(target.name + ".wrong"))


def _links(path: Path) -> Iterable[Path]:
    while path.is_symlink():
        yield path
        path = path.parent / os.readlink(path)


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
