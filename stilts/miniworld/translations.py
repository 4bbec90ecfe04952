"""Training rows said in another language: the mini world's machine translations, which are without fault.

A task's meanings are drawn without regard to the language that says them, so writing the task with another language in
the source language's place gives row by row what a translator would: same meanings, labels, ids and order.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from stilts.errors import UserError

# The tasks whose training rows can be said in any language of the world.
TRANSLATED = (
    *("mnli", "snli", "qqp", "squad1", "squad2"),
    *("hellaswag", "cosmosqa", "csqa", "siqa", "copa"),
)


def write_translation(spec: dict, task: str, language: str, out: Path) -> dict[str, int]:
    """Write `task`'s training rows in `language` as out/<config>/train.parquet; return rows by file.

    spec: the settings of the world. Raises UserError for a task or a language that has no translation.
    """
    import pyarrow.parquet as pq

    from stilts.miniworld.settings import resolve_world
    from stilts.miniworld.world import World
    from stilts.miniworld.write import WRITERS

    world = World(resolve_world(spec))
    if task not in TRANSLATED:
        raise UserError(f"mini world: '{task}' is not translated; translated are {', '.join(TRANSLATED)}")
    if language not in world.languages or language == world.source:
        others = ", ".join(code for code in world.languages if code != world.source)
        raise UserError(f"mini world: '{language}' is no language to translate into; there are {others}")
    world.source = language
    rows = {}
    with tempfile.TemporaryDirectory(dir=out) as place:
        WRITERS[task](world, Path(place))
        for file in sorted((Path(place) / task).glob("*/train.parquet")):
            name = file.relative_to(Path(place) / task).as_posix()
            (out / name).parent.mkdir()
            shutil.move(file, out / name)
            rows[name] = pq.read_metadata(out / name).num_rows
    return rows
