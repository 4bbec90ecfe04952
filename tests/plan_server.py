"""Plan studies quickly: one process that has imported Snakemake forks a child for each plan.

`python -m tests.plan_server` reads one JSON request a line and answers with one JSON line. A child sees no module of
the project that was imported before, so the project planned may be an edited copy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


class Planner:
    """A running plan server."""

    def __init__(self):
        command = [sys.executable, "-m", "tests.plan_server"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.server = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __call__(self, folder: Path, config: Path | None = None, project: Path = ROOT, snakefile: str = "Snakefile"):
        """Return (all jobs, planned jobs, words) of a study: sets of (rule, output), and what `why` says."""
        request = {"folder": str(folder), "config": config and str(config), "project": str(project)}
        print(json.dumps(request | {"snakefile": snakefile}), file=self.server.stdin, flush=True)
        self.answer = answer = json.loads(self.server.stdout.readline())
        assert "error" not in answer, answer["error"]
        return [{tuple(job) for job in answer[name]} for name in ("all", "planned")] + [answer["words"]]

    def close(self) -> None:
        """End the server."""
        self.server.stdin.close()
        self.server.wait()


def plan(request: dict[str, Any]) -> dict[str, Any]:
    """Return what a study's workflow would do."""
    project = Path(request["project"])
    sys.path.insert(0, str(project))
    from stilts.reruns.causes import planned_jobs
    from stilts.reruns.plan import plan_of
    from stilts.reruns.words import tell

    config = [Path(request["config"])] if request["config"] else []
    with plan_of(config, Path(request["folder"]), root=project, snakefile=request["snakefile"]) as plan:
        made = [(job.rule.name, str(job.output[0])) for job in plan.dag.jobs if job.output]
        jobs = planned_jobs(plan.dag, plan.globals["CONFIG"], project) if "CONFIG" in plan.globals else []
        runs = [job for job in plan.dag.needrun_jobs() if job.output]
        needed = [(job.rule.name, str(job.output[0])) for job in runs]
        gpus = {str(job.output[0]): job.resources.get("gpu", 0) for job in runs}
    return {"all": made, "planned": needed, "words": tell(jobs, len(made)), "gpus": gpus}


def main() -> None:
    """Answer requests until the input ends."""
    import snakemake.api
    import snakemake.persistence.file  # noqa: F401

    answers = os.dup(1)
    os.dup2(2, 1)  # what Snakemake prints must not reach the answers
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                answer = plan(json.loads(line))
            except BaseException as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            with os.fdopen(writer, "w") as pipe:
                pipe.write(json.dumps(answer))
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
        os.write(answers, (text or '{"error": "the child died"}').encode() + b"\n")


if __name__ == "__main__":
    main()
