"""2,000 small images on Ray or Spark, also while a worker and a node are killed, beside the command alone.

    python crates/python/checks/cluster.py pictures FOLDER [COUNT]
    python crates/python/checks/cluster.py command  FOLDER OUT.jsonl  path/to/maoocr
    python crates/python/checks/cluster.py ray      FOLDER OUT [kill]
    python crates/python/checks/cluster.py spark    FOLDER OUT [kill]

Ray gets three nodes of one CPU on this machine. Spark gets two executors with `kill`, and two threads of one without. It
fails if an image is missing or twice in the output. Every run says how much CPU time it took. That includes the cluster's
start: a run with few images shows how much it is. The environment is the one of `cargo xtask wheel test`.
"""

import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq

SAMPLES = Path(__file__).resolve().parents[3] / "tests/samples"
REQUIREMENTS = {"speed_requirement": "high"}
FILES_A_CHUNK = 32
# Of the command, Ray and Spark.
WORKERS = ("maoocr batch", "ray::MapWorker", "pyspark.daemon")


def pictures(folder, count=2000):
    """Makes small pictures: different parts of the samples."""
    from PIL import Image

    chosen = random.Random(5)
    names = ["columns.png", "receipt.jpg", "dark.png", "chinese.jpg"]
    pages = [Image.open(SAMPLES / name).convert("L") for name in names]
    for number in range(count):
        page = pages[number % len(pages)]
        width, height = min(320, page.width), min(96, page.height)
        left, top = chosen.randint(0, page.width - width), chosen.randint(0, page.height - height)
        to = Path(folder, f"{number % 20:02d}", f"{number:04d}.png")
        to.parent.mkdir(parents=True, exist_ok=True)
        page.crop((left, top, left + width, top + height)).save(to)


def check(folder, out):
    rows = pq.read_table(out, partitioning=None, columns=["path", "error"]).to_pylist()
    found = sorted(row["path"] for row in rows)
    wanted = sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*.*") if path.is_file())
    if found != wanted:
        sys.exit(f"{len(wanted)} files, but {len(found)} rows with {len(set(found))} files")
    errors = sum(row["error"] is not None for row in rows)
    print(f"{len(found)} files, each in one row; {errors} errors", flush=True)


def processes():
    """Process ID, its parent and its name."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().split("(", 1)[1].rsplit(")", 1)
            line = (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        yield int(stat.parent.name), int(rest.split()[1]), line or name


def below(root):
    """All processes that a process has started."""
    known, found = list(processes()), []
    todo = [root]
    while todo:
        parent = todo.pop()
        for process, its, line in known:
            if its == parent:
                found.append((process, its, line))
                todo.append(process)
    return found


class Killer(threading.Thread):
    """Kills a worker once a few parts are there, and a node once there are more."""

    def __init__(self, out, worker, node):
        super().__init__(daemon=True)
        self.out, self.steps = out, [(8, "worker", worker), (20, "node", node)]
        self.start()

    def run(self):
        for parts, what, kill in self.steps:
            while len(list(Path(self.out).glob("part-*"))) < parts:
                time.sleep(0.02)
            kill()
            print(f"{what} killed after {len(list(Path(self.out).glob('part-*')))} parts", flush=True)


def on_ray(folder, out, kill):
    import ray
    from ray.cluster_utils import Cluster

    import maoocr.ray

    cluster = Cluster()
    memory = {"num_cpus": 1, "object_store_memory": 200_000_000}
    cluster.add_node(**memory, include_dashboard=False)
    nodes = [cluster.add_node(**memory) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)
    alive = lambda: sum(node["Alive"] for node in ray.nodes())
    print(f"{alive()} nodes", flush=True)
    if kill:
        workers = lambda: [p for p, _, line in processes() if line.startswith("ray::") and "MapBatches" in line]
        Killer(
            out,
            lambda: os.kill(workers()[0], signal.SIGKILL),
            lambda: cluster.remove_node(nodes[1], allow_graceful=False),
        )
    total = maoocr.ray.run(folder, out, requirements=REQUIREMENTS, files_a_chunk=FILES_A_CHUNK)
    print(f"{alive()} nodes", flush=True)
    ray.shutdown()
    cluster.shutdown()
    return total


def on_spark(folder, out, kill):
    from pyspark.sql import SparkSession

    import maoocr.spark

    master = "local-cluster[2,1,1024]" if kill else "local[2,4]"
    builder = SparkSession.builder.master(master).config("spark.ui.enabled", "false")
    spark = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    if kill:

        def worker():
            started = below(os.getpid())
            daemons = {process for process, _, line in started if "pyspark.daemon" in line}
            os.kill(next(process for process, parent, _ in started if parent in daemons), signal.SIGKILL)

        def node():
            executors = (p for p, _, line in below(os.getpid()) if "java" in line and "CoarseGrainedExecutorBackend" in line)
            os.kill(next(executors), signal.SIGKILL)

        Killer(out, worker, node)
    total = maoocr.spark.run(spark, folder, out, requirements=REQUIREMENTS, files_a_chunk=FILES_A_CHUNK)
    spark.stop()
    return total


class Meter(threading.Thread):
    """Adds up the CPU time of this process and all of its descendants. Ray's don't wait for theirs, so the sums of ended
    children tell nothing."""

    def __init__(self):
        super().__init__(daemon=True)
        # Orphans become children of this process.
        PR_SET_CHILD_SUBREAPER = 36
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.seconds, self.lines, self.own = {}, {}, 0.0
        self.start()

    def run(self):
        while True:
            began = time.thread_time()
            self.look()
            self.own += time.thread_time() - began
            time.sleep(0.5)

    def look(self):
        for process, _, line in [(os.getpid(), 0, ""), *below(os.getpid())]:
            self.lines[process] = line
            try:
                fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            self.seconds[process] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __str__(self):
        self.look()
        workers = [p for p, line in self.lines.items() if any(name in line for name in WORKERS)]
        read = sum(self.seconds[process] for process in workers if process in self.seconds)
        return f"CPU {sum(self.seconds.values()) - self.own:.0f} s, of which {read:.0f} s of workers"


def main(what, folder, *rest):
    if what == "pictures":
        return pictures(folder, *map(int, rest))
    meter = Meter()
    began = time.perf_counter()
    if what == "command":
        out, binary = rest
        arguments = ["--speed", "high", "--threads", "1", "--offline"]
        subprocess.run([binary, "batch", folder, "--jsonl", out, *arguments], check=True, stderr=subprocess.DEVNULL)
    else:
        out = rest[0]
        shutil.rmtree(out, ignore_errors=True)
        run = {"ray": on_ray, "spark": on_spark}[what]
        total = run(folder, out, "kill" in rest)
        print(json.dumps(total), flush=True)
        check(folder, out)
    print(f"{what}: {time.perf_counter() - began:.0f} s, {meter}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
