"""Raw data of a task from the hub, from local files or from a URL, in the one raw layout."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stilts.data.archives import FORMATS, PACKED, format_of, unpack
from stilts.data.card import Files, data_files
from stilts.data.columns import check_columns
from stilts.data.download import download
from stilts.data.hub import Hub, Repo
from stilts.data.layout import Part, Request
from stilts.data.revisions import Locks, known_files, resolve
from stilts.data.tables import write_table
from stilts.errors import UserError
from stilts.progress import Progress


def fetch_hub(request: Request, hub: Hub, locks: Locks, folder: Path) -> dict[str, Any]:
    """Write `folder/<config>/<split>.parquet` from the task's hub repository; return the facts of the manifest.

    Raises UserError for whatever cannot be had: repository, revision, configuration, split, language, column.
    """
    source = request.task.source
    if not source.id:
        raise UserError(f"The task `{request.task.task}` names no hub repository (`source: id`)")
    repo = Repo(source.id)
    resolved = resolve(hub, repo, source.revision, source.branch, locks)
    names = known_files(hub, repo, resolved, source.branch, locks)
    card = None
    if "README.md" in names:
        card = hub.download(repo, resolved.commit, {"README.md": names["README.md"]}) / "README.md"
    chosen = _choose(request, data_files(card, names), names, resolved.commit)
    wanted = {name: names[name] for files in chosen.values() for name in files}
    size = sum(fact.size for fact in wanted.values())
    print(f"{repo.id}@{resolved.commit[:12]}: {len(wanted)} files, {size / 1e6:.1f} MB")
    home = hub.download(repo, resolved.commit, wanted)
    rows = _write(request, {part: [home / name for name in files] for part, files in chosen.items()}, folder)
    mirror = {} if hub.official else {"mirror": True, "pinned_revision": resolved.pin}
    return {"source": "hub", "repository": repo.id, "revision": resolved.commit, "rows": rows, **mirror}


def fetch_local(request: Request, home: Path, folder: Path) -> dict[str, Any]:
    """Write the raw layout from `home/<task>/<config>/<split>.<format>` (text: `home/<task>/<language>.txt`).

    The configuration of a language may be named by the repository's name or by our code. Raises UserError naming the
    file that is missing and those that exist.
    """
    name = request.task.task
    base = home / name
    if not base.is_dir():
        have = ", ".join(sorted(p.name for p in home.iterdir() if p.is_dir())) if home.is_dir() else "(no such folder)"
        raise UserError(f"There is no folder {base} for the task `{name}`. {home} holds: {have or 'nothing'}.")
    if request.ending:
        return _raw_files(
            request, lambda language, path: _copy(base / f"{language}.{request.ending}", path, name), folder, "local"
        )
    if request.task.kind == "bitext_mining" and not request.task.source.id:
        return _corpora(request, base, folder)
    chosen: dict[Part, list[Path]] = {}
    for part in _once(request.parts()):
        configs = [part.config]
        if part.language:
            configs.append(request.task.source.config.format(language=part.language))
        files = [base / config / f"{part.source_split}.{end}" for config in configs for end in (*FORMATS, *PACKED)]
        found = [file for file in files if file.is_file()]
        if found:
            chosen[part] = found[:1]
        elif not part.optional:
            have = sorted(p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_file())
            shown = ", ".join(have[:12]) + (", ..." if len(have) > 12 else "")
            raise UserError(
                f"{base} lacks {part.config}/{part.source_split}.{{{','.join(FORMATS)}}} (split {part.split}"
                f"{f', language {part.language}' if part.language else ''}). It holds: {shown or 'nothing'}."
            )
    return {"source": "local", "rows": _write(request, chosen, folder)}


def fetch_files(request: Request, hub: Hub, locks: Locks, folder: Path) -> dict[str, Any]:
    """Write `folder/<language>.<ending>` from the task's URL template; sha256 as the lock knows them."""
    template = request.task.source.files
    # A URL at a mirror's own address is as local as its commits are.
    lock = locks.of(hub) if "{endpoint}" in template else locks.committed

    def bring(language: str, path: Path) -> None:
        key = template.replace("{language}", request.name_of(language))
        url = key.replace("{endpoint}", hub.endpoint)
        try:
            digest = download(
                url, path, hub.own / "downloads", sha256=lock.get("files", key), key=key, offline=hub.offline
            )
        except UserError as error:
            raise UserError(f"`{request.task.task}`, language {language}: {error}") from None
        held = lock.settle("files", key, digest)
        if held != digest:
            raise UserError(f"{key}: two jobs received different bytes ({digest}, {held}); run again")

    return _raw_files(request, bring, folder, "files")


def _raw_files(request: Request, bring: Callable[[str, Path], None], folder: Path, source: str) -> dict[str, Any]:
    with Progress(f"fetch {request.task.task}", len(request.languages)) as progress:
        for language in request.languages:
            bring(language, folder / f"{language}.{request.ending}")
            progress.update()
    return {"source": source, "languages": list(request.languages)}


def _corpora(request: Request, base: Path, folder: Path) -> dict[str, Any]:
    """Copy the corpora and gold pairs of every language, from folders `de-en/` or side by side."""
    names = {"source": request.name_of(request.source_language), "gold": "gold"}
    for (_, language), stem in request.corpora().items():
        (folder / stem).parent.mkdir(exist_ok=True)
        for end in (request.name_of(language), *names.values()):
            place = base / f"{stem}.{end}"
            _copy(place if place.is_file() else base / place.name, folder / f"{stem}.{end}", request.task.task)
    return {"source": "local", "languages": list(request.languages)}


def _copy(file: Path, path: Path, task: str) -> None:
    if not file.is_file():
        have = ", ".join(sorted(p.stem for p in file.parent.glob(f"*{file.suffix}"))) or "none"
        raise UserError(f'The data of `{task}` lack the language "{file.stem}" ({file}). Languages they hold: {have}.')
    shutil.copyfile(file, path)


def _once(parts: list[Part]) -> list[Part]:
    """Leave out tables that were listed before: one repository split may serve two of ours."""
    return list({part.file: part for part in sorted(parts, key=lambda p: not p.optional)}.values())


def _choose(request: Request, held: Files, names: dict[str, Any], commit: str) -> dict[Part, list[str]]:
    """Return the repository's files of every part; the optional ones that do not exist are left out."""
    task = request.task
    where = f"{task.source.id} ({commit[:12]}), task `{task.task}`"
    if not held:
        script = next((n for n in names if n.endswith(".py")), None)
        hint = f" It keeps a loading script ({script}): try `source: branch: refs/convert/parquet`." if script else ""
        raise UserError(f"{where}: the repository holds no data files ({', '.join(FORMATS)}).{hint}")
    chosen = {}
    for part in _once(request.parts()):
        splits = held.get(part.config, {})
        if splits.get(part.source_split):
            chosen[part] = splits[part.source_split]
        elif part.optional and splits:
            continue
        elif part.config in held:
            others = request.languages_of(c for c, of in held.items() if part.source_split in of)
            hint = f" Languages that have it: {', '.join(others)}." if others else ""
            raise UserError(
                f'{where}: the configuration "{part.config}" has no split "{part.source_split}" (our {part.split}); '
                f"it has {', '.join(splits) or 'none'}.{hint}"
            )
        else:
            languages = request.languages_of(held)
            has = (
                f"Languages it holds: {', '.join(languages)}"
                if languages
                else f"It has: {', '.join(sorted(held)[:40])}"
            )
            what = f' for the language "{part.language}"' if languages else ""
            raise UserError(f'{where}: there is no configuration "{part.config}"{what}. {has}.')
    return chosen


def _write(request: Request, chosen: dict[Part, list[Path]], folder: Path) -> dict[str, int]:
    """Read the files with `datasets` and write them as the raw layout; return rows by table."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    readers = {"parquet": Dataset.from_parquet, "csv": Dataset.from_csv, "tsv": Dataset.from_csv}
    rows = {}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".datasets-") as cache:
        for part, held in chosen.items():
            where = f"{request.task.task}: {part.config}/{part.source_split}"
            ending = format_of(held[0].name)
            files = unpack(held, Path(cache) / "unpacked" / part.config / part.source_split)
            options = {"sep": "\t"} if ending == "tsv" else {}
            try:
                data = readers.get(ending, Dataset.from_json)([str(f) for f in files], cache_dir=cache, **options)
            except Exception as error:  # the library wraps whatever its readers raise
                cause = error.__cause__ or error
                raise UserError(f"{where}: {files[0].name} cannot be read as {ending} ({cause})") from None
            check_columns(request.task, data.column_names, where)
            write_table(data.data.table.cast(data.features.arrow_schema), folder / part.file)
            rows[part.file] = data.num_rows
            del data
    return dict(sorted(rows.items()))
