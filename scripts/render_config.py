"""Write config.yaml, config.schema.json and docs/configuration.md. Usage: python -m scripts.render_config"""

from __future__ import annotations

from pathlib import Path

from stilts.config.render import render_all

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    for name, text in render_all().items():
        path = ROOT / name
        path.parent.mkdir(exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: {name}")


if __name__ == "__main__":
    main()
