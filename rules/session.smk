# What happens around a run: why it runs, the resident worker, the summary.

import os
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from stilts.provenance.ends import SESSION
from stilts.reruns.causes import planned_jobs
from stilts.reruns.lock import hold_lock
from stilts.reruns.words import tell

STARTED = time.time()
WORKER = []
# glibc: keep freed memory and use huge pages. A job's tensors are then not faulted in page by page again and again.
MALLOC = {"hugetlb": 1, "mmap_threshold": 2**30, "trim_threshold": 2**33, "top_pad": 2**26}
if workflow.is_main_process:
    os.environ[SESSION] = f"{STARTED:.0f}-{os.getpid()}"  # jobs on a cluster inherit it
elif threading.current_thread() is threading.main_thread():
    # SLURM's warning before a time limit reaches every process of a job. Whoever ignores it lets its children ignore it,
    # down to the script; training listens to it and saves its state.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def look_when_a_job_ends():
    """Take back Snakemake's default limit of 100 jobs a second, which no study reaches.

    Under a limit it sets a timer whenever it looks at the ready jobs, to look again in a second, and again; the timers
    of hundreds of jobs keep a core busy.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit is not None and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def explain():
    """Say before the first job what will run, and why, and that the store keeps nothing if it cannot.

    What goes wrong here costs a note, never the run.
    """
    try:
        jobs = planned_jobs(workflow.dag, CONFIG, PROJECT)
        told = tell(jobs, sum(1 for job in workflow.dag.jobs if job.output))
    except Exception as error:
        told = f"note: why these jobs run cannot be said ({type(error).__name__}: {error})"
    if STORE is not None and (why := STORE.refusal()):
        told += f"\n\nnote: results will not be kept in the store {STORE.root} ({why}); they stand all the same"
    print(told, end="\n\n", file=sys.stderr)


def start_worker():
    """Start the resident worker of this invocation; without it every job imports torch for itself."""
    if not (CONFIG.runtime.resident_worker and workflow.local_exec and hasattr(os, "pidfd_open")):
        return
    path = Path(tempfile.mkdtemp(prefix="stilts-")) / "worker"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    environment.setdefault("GLIBC_TUNABLES", ":".join(f"glibc.malloc.{key}={value}" for key, value in MALLOC.items()))
    WORKER.append(
        subprocess.Popen([sys.executable, "-m", "stilts.worker.server", str(path)], env=environment, cwd=PROJECT)
    )
    os.environ.update(STILTS_WORKER=str(path))
    while not path.exists() and WORKER[0].poll() is None:
        time.sleep(0.1)


def finish(done):
    """Print where the report lies and what this invocation cost, or how to go on after a failure."""
    for worker in WORKER:
        worker.terminate()
        worker.wait()
        shutil.rmtree(Path(worker.args[-1]).parent, ignore_errors=True)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    figures = {"started": STARTED, "cpu": sum(u.ru_utime + u.ru_stime for u in used)}
    command = [sys.executable, "-m", "scripts.finish", "--root", ROOT]
    command += [f"--{k}={v:.3f}" for k, v in figures.items()] + ([] if done else ["--failed"])
    command += ["--scored"] if any(job.rule.name == "summarise" for job in workflow.dag.jobs) else []
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(PROJECT)}, check=False)
