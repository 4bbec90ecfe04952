"""Which commit of a repository is read: the pinned one, or the one written down at the first fetch."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from stilts.data.hub import FileFact, Hub, NoRevision, Repo, Unreachable
from stilts.data.pins import Lock, is_commit
from stilts.errors import UserError


@dataclass(frozen=True)
class Locks:
    """committed: in the source tree, for the real hub only; local: beside the data, for every other endpoint."""

    committed: Lock
    local: Lock

    def of(self, hub: Hub) -> Lock:
        """Return the lock that an endpoint's commits go to."""
        return self.committed if hub.official else self.local


@dataclass(frozen=True)
class Resolved:
    """The commit to read. pin: the commit it should have been, where a mirror does not have that one."""

    commit: str
    pin: str | None = None


def resolve(hub: Hub, repo: Repo, revision: str | None, branch: str, locks: Locks) -> Resolved:
    """Return the commit to read, and write it down where no source named it.

    revision: what the task file pins (a commit, or a tag or branch to resolve once), or None. The real hub's commits
    go to `locks.committed`. Another endpoint may lack the pinned commit: then its own commit is taken and kept in
    `locks.local`, beside the data, never in the committed lock.
    Raises UserError when pins contradict each other or nothing names a commit and the endpoint cannot be reached.
    """
    name = branch if revision is None or is_commit(revision) else revision
    committed, local = locks.committed, locks.local
    key = f"{repo.kind}s/{repo.id}@{name}"
    pin = committed.get("repositories", key)
    if is_commit(revision):
        if pin not in (None, revision):
            raise UserError(
                f"{repo.id}: the task pins {revision}, {committed.path.name} holds {pin}. Delete the wrong one."
            )
        pin = revision
    if hub.official and pin:
        return Resolved(pin)
    held = None if hub.official else local.get("repositories", key)
    if held:
        return Resolved(held, pin if pin != held else None)
    try:
        if pin:
            try:
                return Resolved(local.settle("repositories", key, hub.commit(repo, pin)))
            except NoRevision:
                commit = hub.commit(repo, name)
                print(
                    f"{hub.shown} does not have the pinned commit {pin} of {repo.id}: taking its own {name}, {commit}. "
                    "Scores from it are not those of the pinned data.",
                    file=sys.stderr,
                )
        else:
            commit = hub.commit(repo, name)
    except Unreachable as error:
        if pin:
            return Resolved(pin)
        raise UserError(
            f"{error} No revision of the {repo} is pinned yet, so the cache cannot stand in: run once with network, "
            "or pin `source: revision` in the task file."
        ) from None
    commit = (committed if hub.official else local).settle("repositories", key, commit)
    return Resolved(commit, pin)


def known_files(hub: Hub, repo: Repo, resolved: Resolved, branch: str, locks: Locks) -> dict[str, FileFact]:
    """Return the files of the resolved commit; says what to do when the endpoint no longer has it."""
    try:
        return hub.files(repo, resolved.commit)
    except NoRevision as error:
        now = hub.commit(repo, branch)
        raise UserError(
            f"{error}. That commit is pinned (in the task or in {locks.of(hub).path}); {branch} is {now} now. "
            "To move to it, change the pin and delete the raw data of the task."
        ) from None
