"""Plain text for pretraining and co-training: mlm_text."""

from __future__ import annotations

from pathlib import Path

from stilts.miniworld.documents import DocumentWriter
from stilts.miniworld.world import World


def documents(world: World, out: Path) -> None:
    """Write out/mlm_text/<language>.txt: one document a line, a TAB between two segments."""
    folder = out / "mlm_text"
    folder.mkdir(parents=True, exist_ok=True)
    for code in world.languages:
        writer = DocumentWriter(world.world, world.lexicons, code)
        lines = [writer.document() for _ in range(world.sizes["mlm_documents"])]
        (folder / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
