"""Write a whole mini world: every raw file of every task, the same meanings in every language."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from stilts.miniworld.files import choices, pairs, questions, search, tags, text
from stilts.miniworld.settings import resolve_world
from stilts.miniworld.world import World

# Task -> what writes its folder; some write two tasks, whose meanings belong together.
WRITERS: dict[str, Callable[[World, Path], None]] = {
    "mlm_text": text.documents,
    "mnli": pairs.inference,
    "xnli": pairs.inference,
    "snli": pairs.photographs,
    "anli": pairs.rounds,
    "pawsx": pairs.paraphrase,
    "qqp": pairs.duplicates,
    "squad1": questions.answerable,
    "xquad": questions.answerable,
    "squad2": questions.partly_answerable,
    "tydiqa": questions.typological,
    "mlqa": questions.parallel,
    "copa": choices.causes,
    "xcopa": choices.causes,
    "hellaswag": choices.completions,
    "cosmosqa": choices.readings,
    "csqa": choices.common_sense,
    "siqa": choices.social_situations,
    "udpos": tags.parts_of_speech,
    "panx": tags.names,
    "panx_r": tags.names,
    "ccg": tags.supertags,
    "tatoeba": search.bitext,
    "tatoeba_r": search.bitext,
    "bucc": search.corpora,
    "bucc_gold": search.corpora,
    "lareqa": search.answer_retrieval,
    "mewslix": search.entity_retrieval,
}


def write_world(spec: dict, out: Path, processes: int = 1) -> None:
    """Write every raw file of the world described by `spec` (keys and defaults: settings.WORLD_DEFAULTS) under `out`.

    Files: out/<task>/<config>/<split>.parquet in hub schemas, but for text (mlm_text/<language>.txt: one document a
    line, a TAB between two segments), supertags (ccg/<split>.tsv), corpora (bucc/<pair>/) and lareqa/<language>.json
    (XQuAD-R layout). The same spec gives the same bytes, by any number of processes: no task's draws depend on
    another's. Raises UserError for a spec that `resolve_world` refuses.
    """
    world, writers = World(resolve_world(spec)), list(dict.fromkeys(WRITERS.values()))
    if processes == 1:
        for writer in writers:
            writer(world, Path(out))
        return
    fork = get_context("fork")
    with ProcessPoolExecutor(processes, fork, initializer=_share, initargs=(world, Path(out))) as pool:
        list(pool.map(_write, writers))


_shared: list = []  # a process's world and folder


def _share(*what: object) -> None:
    _shared[:] = what


def _write(writer: Callable[[World, Path], None]) -> None:
    writer(*_shared)
