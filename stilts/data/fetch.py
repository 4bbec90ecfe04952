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
from stilts.data.tagged import fetch_tagged
from stilts.errors import UserError
from stilts.progress import Progress


def fetch_hub(request: Request, hub: Hub, locks: Locks, folder: Path) -> dict[str, Any]:
    """Write `folder/<config>/<split>.parquet` from the task's hub repositories; return the facts of the manifest.

    Facts: the first repository and its commit; those of further sources under `further`. Raises UserError for whatever
    cannot be had: repository, revision, configuration, split, language, column.
    """
    name = request.task.task
    if not request.task.source.id:
        raise UserError(
            f"The task `{name}` names no hub repository (`source: id`). If its data are for you to bring, name their "
            f"folder under `tasks: {name}: source: path`."
        )
    facts: dict[str, Any] = {"source": "hub", "rows": {}}
    for number in sorted({part.source for part in request.parts()}):
        found = _fetch_repository(request, number, hub, locks, folder)
        facts["rows"] |= found.pop("rows")
        for what, which in found.pop("language_aliases", {}).items():
            facts.setdefault("language_aliases", {})[what] = which
        if "repository" in facts:
            facts.setdefault("further", []).append(found)
        else:
            facts |= found
    return facts | {"rows": dict(sorted(facts["rows"].items()))}


def _fetch_repository(request: Request, number: int, hub: Hub, locks: Locks, folder: Path) -> dict[str, Any]:
    source = request.sources[number]
    repo = Repo(source.id)
    resolved = resolve(hub, repo, source.revision, source.branch, locks)
    names = known_files(hub, repo, resolved, source.branch, locks)
    card = None
    if "README.md" in names:
        card = hub.download(repo, resolved.commit, {"README.md": names["README.md"]}) / "README.md"
    chosen, aliases = _choose(request, number, data_files(card, names), names, resolved.commit)
    wanted = {name: names[name] for files in chosen.values() for name in files}
    size = sum(fact.size for fact in wanted.values())
    print(f"{repo.id}@{resolved.commit[:12]}: {len(wanted)} files, {size / 1e6:.1f} MB")
    home = hub.download(repo, resolved.commit, wanted)
    rows = _write(request, {part: [home / name for name in files] for part, files in chosen.items()}, folder)
    mirror = {} if hub.official else {"mirror": True, "pinned_revision": resolved.pin}
    return {"repository": repo.id, "revision": resolved.commit, "rows": rows, **mirror, **_aliases(aliases)}


def _aliases(found: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the fact that languages were found under other names (`zh` as `zh_cn`), and say so; or nothing."""
    for language, config in sorted(found.items()):
        print(f"the language {language} is read from {config}")
    return {"language_aliases": dict(sorted(found.items()))} if found else {}


def fetch_local(request: Request, home: Path, folder: Path) -> dict[str, Any]:
    """Write the raw layout from the task's folder in `home`, the folder `local_data` (see `fetch_folder`)."""
    name = request.task.task
    if not (home / name).is_dir():
        have = ", ".join(sorted(p.name for p in home.iterdir() if p.is_dir())) if home.is_dir() else "(no such folder)"
        raise UserError(f"There is no folder {home / name} for the task `{name}`. {home} holds: {have or 'nothing'}.")
    return fetch_folder(request, home / name, folder)


def fetch_folder(request: Request, base: Path, folder: Path) -> dict[str, Any]:
    """Write the raw layout from `base/<config>/<split>.<format>` (text: `base/<language>.txt`; see also `tagged`).

    The configuration of a language may be named by the repository's name, by our code or by another code of the
    language. Raises UserError naming the file that is missing and those that exist.
    """
    name = request.task.task
    if request.task.source.layout == "tagged_lines":
        splits = list(request.task.source.splits)
        return {"source": "local", "rows": fetch_tagged(base, splits, folder)}
    if request.ending:
        return _raw_files(
            request, lambda language, path: _copy(base / f"{language}.{request.ending}", path, name), folder, "local"
        )
    if request.task.kind == "bitext_mining" and not request.task.source.id:
        return _corpora(request, base, folder)
    held = [p.relative_to(base).as_posix() for p in sorted(base.rglob("*")) if p.is_dir()]
    chosen: dict[Part, list[Path]] = {}
    aliases: dict[str, str] = {}
    for part in _once(request.parts()):
        config = request.config_of(part, held) or part.config
        found = [base / config / f"{part.source_split}.{end}" for end in (*FORMATS, *PACKED)]
        found = [file for file in found if file.is_file()]
        if found:
            chosen[part] = found[:1]
            if config not in (part.config, request.sources[part.source].config.format(language=part.language)):
                aliases[part.language or ""] = config
        elif not part.optional:
            have = sorted(p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_file())
            shown = ", ".join(have[:12]) + (", ..." if len(have) > 12 else "")
            raise UserError(
                f"{base} lacks {part.config}/{part.source_split}.{{{','.join(FORMATS)}}} (split {part.split}"
                f"{f', language {part.language}' if part.language else ''}). It holds: {shown or 'nothing'}."
            )
    return {"source": "local", "rows": _write(request, chosen, folder), **_aliases(aliases)}


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


def _choose(
    request: Request, number: int, held: Files, names: dict[str, Any], commit: str
) -> tuple[dict[Part, list[str]], dict[str, str]]:
    """Return the repository's files of every part, and the languages that it calls otherwise than the task says.

    Optional parts that do not exist are left out.
    """
    task = request.task
    where = f"{request.sources[number].id} ({commit[:12]}), task `{task.task}`"
    if not held:
        script = next((n for n in names if n.endswith(".py")), None)
        hint = f" It keeps a loading script ({script}): try `source: branch: refs/convert/parquet`." if script else ""
        raise UserError(f"{where}: the repository holds no data files ({', '.join(FORMATS)}).{hint}")
    chosen: dict[Part, list[str]] = {}
    aliases: dict[str, str] = {}
    for part in _once([part for part in request.parts() if part.source == number]):
        config = request.config_of(part, held) or part.config
        splits = held.get(config, {})
        if config != part.config:
            aliases[part.language or ""] = config
        if splits.get(part.source_split):
            chosen[part] = splits[part.source_split]
        elif part.optional and splits:
            continue
        elif config in held:
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
    return chosen, aliases


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
            check_columns(request.task_of(part), data.column_names, where)
            write_table(data.data.table.cast(data.features.arrow_schema), folder / part.file)
            rows[part.file] = data.num_rows
            del data
    return dict(sorted(rows.items()))
