"""Small repositories in hub layout, made on the spot, and short cuts to run the data scripts in process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hub_server import HubServer

import scripts.fetch
import stilts.data.hub
from stilts.provenance.job import run_job
from stilts.tasks.registry import get_task

ROOT = Path(__file__).resolve().parents[1]


def write_rows(path: Path, rows: list[dict[str, Any]], classes: dict[str, list[str]] | None = None) -> None:
    """Write rows as a parquet file; classes: column -> class names, stated as `datasets` states them."""
    table = pa.Table.from_pylist(rows)
    if classes:
        features = {
            name: {"dtype": str(table.schema.field(name).type), "_type": "Value"} for name in table.column_names
        }
        features |= {name: {"names": names, "_type": "ClassLabel"} for name, names in classes.items()}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def card(configs: dict[str, list[str]], by_config: bool = True) -> str:
    """Return a README whose head names the files of every configuration and split."""
    lines = ["---", "configs:"]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {f'{config}/' if by_config else ''}{split}-*"]
    return "\n".join([*lines, "---", "# A test repository", ""])


def paws_repository(home: Path, languages: tuple[str, ...] = ("en", "de"), rows: int = 6) -> Path:
    """Make `datasets/google/xtreme` with PAWS-X in some languages; return its folder."""
    repo = home / "datasets" / "google" / "xtreme"
    for language in languages:
        for split in ("train", "validation", "test"):
            pairs = [
                {"sentence1": f"{language} {split} {n}", "sentence2": f"other {n}", "label": str(n % 2)}
                for n in range(rows)
            ]
            write_rows(repo / f"PAWS-X.{language}" / f"{split}-00000-of-00001.parquet", pairs)
    (repo / "README.md").write_text(card({f"PAWS-X.{code}": ["train", "validation", "test"] for code in languages}))
    return repo


def spec_of(
    task: str, languages: list[str], provider: str = "hub", source_language: str = "en", **source: Any
) -> dict[str, Any]:
    """Return the spec of fetch and prepare; source: keys of the task's `source` to replace."""
    raw = get_task(task).model_dump()
    raw["source"] |= source
    return {"task": raw, "provider": provider, "languages": languages, "source_language": source_language}


def run(script: Any, spec: dict[str, Any], output: Path, *options: Any) -> int:
    """Run a script's job in process; return its exit status."""
    inputs = {"prepare": {"raw": "+"}}.get(script.__name__.split(".")[-1], {"local": "?", "path": "?", "lock": "?"})
    return run_job(script.work, inputs, ["--spec", json.dumps(spec), "--output", str(output), *map(str, options)])


def facts(manifest: Path) -> dict[str, Any]:
    """Return the facts of a manifest."""
    return json.loads(manifest.read_text())["facts"]


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a parquet file."""
    return pq.read_table(path).to_pylist()


class World:
    """A hub, a cache and a results folder of one test."""

    def __init__(self, home, monkeypatch):
        self.home, self.patch = home, monkeypatch
        self.repo = paws_repository(home / "hub")
        self.server = HubServer(home / "hub")
        self.lock = home / "tasks" / "revisions.lock.yaml"
        self.beside = home / "raw" / "revisions.lock.yaml"
        self.output = home / "raw" / "pawsx" / "manifest.json"
        for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", self.server.url)
        monkeypatch.setenv("HF_HOME", str(home / "cache"))
        monkeypatch.setattr(stilts.data.hub, "PAUSES", (0.0, 0.0))

    def official(self):
        """Let this server count as the real hub."""
        self.patch.setattr(stilts.data.hub, "OFFICIAL", self.server.url)

    def commit(self, name="google/xtreme", branch="main"):
        return self.server.refs["datasets", name][branch]

    def fetch(self, spec=None, output=None):
        return run(scripts.fetch, spec or spec_of("pawsx", ["en", "de"]), output or self.output, "--lock", self.lock)

    def push(self):
        """Change the repository's main branch; return the new commit."""
        rows = [{"sentence1": "new", "sentence2": "b", "label": "1"}]
        write_rows(self.repo / "PAWS-X.de" / "test-00000-of-00001.parquet", rows)
        self.server.scan()
        return self.commit()

    def blobs(self):
        return sorted((self.home / "cache" / "hub").glob("datasets--*/blobs/*"))


def message(capsys: Any) -> str:
    """Return the one error message of a failed job."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]
