"""The mini world: several artificial languages over one meaning space, written as raw files of the real data sets."""

from __future__ import annotations

from pathlib import Path


def write_world(spec: dict, out: Path, processes: int = 1) -> None:
    """Write every raw file of the world `spec` describes under `out`; see `stilts.miniworld.write.write_world`."""
    from stilts.miniworld.write import write_world as write

    write(spec, out, processes)
