"""Chunks: what is done is not done again, what fails is a row, nothing is there twice."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pyarrow.parquet as pq
import pytest

from conftest import SAMPLES
from maoocr import MaoOCRError, bulk

FAST = {"speed_requirement": "high", "real_time": True}


@pytest.fixture
def folder(tmp_path):
    """Twelve files in two folders; one is broken, one is no picture by name."""
    source = tmp_path / "scans"
    (source / "below").mkdir(parents=True)
    for number in range(10):
        name = ["dark.png", "transparent.png"][number % 2]
        shutil.copy(SAMPLES / name, source / ("below" if number % 3 else ".") / f"{number}-{name}")
    shutil.copy(SAMPLES / "broken/truncated.jpg", source / "broken.JPG")
    (source / "notes.txt").write_text("no picture")
    return source


def read(out):
    table = pq.read_table(out, partitioning=None)
    assert table.schema.equals(bulk.schema(), check_metadata=False)
    return table.to_pylist()


def begin(folder, out, **options):
    return bulk.open_job(str(folder), str(out), requirements=FAST, files_a_chunk=3, **options)


def test_every_file_has_one_row(folder, tmp_path, ocr):
    out = tmp_path / "out"
    job, chunks = begin(folder, out)
    assert job.chunks == 4 and sum(len(c.names) for c in chunks) == 11
    done = [bulk.run_chunk(job, chunk, ocr) for chunk in chunks]
    assert sum(d["read"] for d in done) == 11 and sum(d["errors"] for d in done) == 1
    rows = read(out)
    assert sorted(row["path"] for row in rows) == sorted(name for chunk in chunks for name in chunk.names)
    (bad,) = [row for row in rows if row["error"]]
    assert bad["path"] == "broken.JPG" and bad["error"]["code"] == "truncated" and bad["text"] is None
    good = next(row for row in rows if row["path"] == "below/4-dark.png")
    wanted = ocr.recognize_with_requirements(folder / "below/4-dark.png", {**FAST, "batch_processing": True})
    assert good["text"] == wanted.text and len(good["lines"]) == len(wanted.lines) and good["lines"][0]["page"] == 0
    assert len(good["lines"][0]["box"]) == 8 and "ppocrv6-tiny-rec" in good["plan"] and good["markdown"] is None


def test_relative_folders_are_those_of_the_driver(folder, tmp_path, ocr, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job, chunks = begin("scans", "out")
    # Where a worker may be.
    monkeypatch.chdir("/")
    assert bulk.run_chunk(job, chunks[0], ocr)["errors"] == sum(name == "broken.JPG" for name in chunks[0].names)
    assert (tmp_path / "out" / chunks[0].part).exists()
    assert begin(folder, tmp_path / "out") == (job, chunks)


def test_what_is_done_is_not_done_again(folder, tmp_path, ocr):
    out = tmp_path / "out"
    job, chunks = begin(folder, out)
    bulk.run_chunk(job, chunks[0], ocr)
    again, same = begin(folder, out)
    assert again == job and same == chunks
    left = bulk.pending(again, same)
    assert [c.number for c in left] == [c.number for c in chunks[1:]]
    for chunk in left:
        bulk.run_chunk(again, chunk, ocr)
    before = read(out)
    # A worker that was taken for dead comes back.
    bulk.run_chunk(job, chunks[0], ocr)
    assert len(read(out)) == len(before) == 11
    assert bulk.pending(*begin(folder, out)) == []


def test_added_files_are_read_and_lost_ones_leave(folder, tmp_path, ocr):
    out = tmp_path / "out"
    job, chunks = begin(folder, out)
    for chunk in chunks:
        bulk.run_chunk(job, chunk, ocr)
    shutil.copy(SAMPLES / "dark.png", folder / "new.png")
    (folder / "broken.JPG").unlink()
    job, chunks = begin(folder, out)
    done = [bulk.run_chunk(job, chunk, ocr) for chunk in bulk.pending(job, chunks)]
    bulk.sweep(job, chunks)
    assert sum(d["read"] for d in done) == 1
    paths = [row["path"] for row in read(out)]
    assert "new.png" in paths and "broken.JPG" not in paths and len(paths) == len(set(paths)) == 11


def test_half_written_parts_are_swept(folder, tmp_path, ocr):
    out = tmp_path / "out"
    job, chunks = begin(folder, out)
    bulk.run_chunk(job, chunks[0], ocr)
    (out / "_tmp-1234").write_bytes(b"PAR1")
    stale = out / (chunks[0].part[:12] + "-0123456789abcdef.parquet")
    shutil.copy(out / chunks[0].part, stale)
    assert bulk.sweep(job, chunks) == 2
    assert sorted(p.name for p in out.iterdir()) == sorted(["_maoocr.json", chunks[0].part])


def test_another_job_does_not_mix_in(folder, tmp_path):
    out = tmp_path / "out"
    begin(folder, out)
    with pytest.raises(ValueError, match="requirements"):
        bulk.open_job(str(folder), str(out))
    with pytest.raises(ValueError, match="options"):
        begin(folder, out, options={"structure": True})


def test_a_fault_of_the_machine_is_no_row(folder, tmp_path):
    from maoocr import MaoOCR

    job, chunks = begin(folder, tmp_path / "out")
    with pytest.raises(MaoOCRError) as raised:
        bulk.run_chunk(job, chunks[0], MaoOCR(models=tmp_path / "none", offline=True))
    assert raised.value.code == "model_not_installed" and bulk.pending(job, chunks) == chunks


def test_structure_adds_markdown(folder, tmp_path, ocr):
    job, chunks = begin(folder, tmp_path / "out", options={"structure": True})
    bulk.run_chunk(job, chunks[0], ocr)
    assert any(row["markdown"] for row in read(tmp_path / "out"))


# Ray ------------------------------------------------------------------------------------------------------------------


def test_ray_reads_all_though_a_worker_dies(folder, tmp_path, ocr):
    """Two workers, of which one is killed while it reads; then the driver, and it is taken up again."""
    for number in range(30):
        shutil.copy(SAMPLES / "dark.png", folder / f"more-{number}.png")
    code = f"""
        import os, signal, sys
        import ray, maoocr.ray
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        state = {{"killed": False, "chunks": 0}}

        def on_chunk(done):
            state["chunks"] += 1
            if sys.argv[1] == "leave" and state["chunks"] == 3:
                os._exit(9)
            if not state["killed"]:
                state["killed"] = True
                os.kill(int(done["process"]), signal.SIGKILL)
                print("killed", flush=True)

        total = maoocr.ray.run({str(folder)!r}, {str(tmp_path / 'out')!r}, requirements={FAST!r}, files_a_chunk=3,
                               models={ocr.models_folder!r}, on_chunk=on_chunk)
        print(total["files"], total["errors"], flush=True)
    """
    environment = {**os.environ, "RAY_DATA_DISABLE_PROGRESS_BARS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    left = subprocess.run([*command, "leave"], capture_output=True, text=True, env=environment, timeout=300)
    assert left.returncode == 9, left.stderr
    parts = {p.name for p in (tmp_path / "out").glob("part-*")}
    assert 3 <= len(parts) < 14
    done = subprocess.run([*command, "stay"], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "killed\n" in left.stdout + done.stdout
    # Of all files; errors are those of the chunks that ran now.
    assert "\n41 " in "\n" + done.stdout
    paths = [row["path"] for row in read(tmp_path / "out")]
    assert len(paths) == len(set(paths)) == 41
    # What the first driver left was not read again.
    assert parts <= {p.name for p in (tmp_path / "out").glob("part-*")}


# Spark ----------------------------------------------------------------------------------------------------------------


def spark(code, *arguments, master="local[2,4]"):
    """Runs code with a session `spark`."""
    begin = f"""
        import os, sys
        from pyspark.sql import SparkSession
        import maoocr.spark
        spark = (SparkSession.builder.master({master!r}).config("spark.ui.enabled", "false")
                 .config("spark.sql.shuffle.partitions", 2).config("spark.driver.host", "127.0.0.1").getOrCreate())
        spark.sparkContext.setLogLevel("OFF")
    """
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    whole = textwrap.dedent(begin) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", whole, *arguments], capture_output=True, text=True, env=environment, timeout=300
    )


def test_spark_reads_all_though_a_worker_dies(folder, tmp_path, ocr):
    """A Python worker is killed while it reads; then the job is taken up for a file that came later."""
    for number in range(30):
        shutil.copy(SAMPLES / "dark.png", folder / f"more-{number}.png")
    code = f"""
        import pathlib, signal, threading, time

        def children(parent):
            stats = [path.read_text().rsplit(")", 1)[1].split() + [path.parent.name]
                     for path in pathlib.Path("/proc").glob("[0-9]*/stat") if path.exists()]
            return [int(stat[-1]) for stat in stats if int(stat[1]) == parent]

        def kill():
            while not any(pathlib.Path({str(tmp_path / 'out')!r}).glob("part-*")):
                time.sleep(0.02)
            # Java, Spark's daemon, the workers that it forks.
            workers = [w for java in children(os.getpid()) for daemon in children(java) for w in children(daemon)]
            os.kill(workers[0], signal.SIGKILL)
            print("killed", flush=True)

        if sys.argv[1] == "kill":
            threading.Thread(target=kill, daemon=True).start()
        total = maoocr.spark.run(spark, {str(folder)!r}, {str(tmp_path / 'out')!r}, requirements={FAST!r}, files_a_chunk=3,
                                 models={ocr.models_folder!r})
        print(total["files"], total["read"], total["errors"], total["chunks"])
    """
    done = spark(code, "kill")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["killed", "41", "41", "1", "14"]
    paths = [row["path"] for row in read(tmp_path / "out")]
    assert len(paths) == len(set(paths)) == 41
    shutil.copy(SAMPLES / "dark.png", folder / "later.png")
    done = spark(code, "stay")
    files, read_now, _, chunks = done.stdout.split()
    assert (files, read_now, chunks) == ("42", "1", "1"), done.stderr
    assert len(read(tmp_path / "out")) == 42


def test_spark_adds_columns_to_a_data_frame(folder, tmp_path, ocr):
    out = tmp_path / "out"
    code = f"""
        data = spark.read.format("binaryFile").option("recursiveFileLookup", True).load({str(folder)!r})
        shared = maoocr.spark.share_models(spark, requirements={FAST!r}, models={ocr.models_folder!r})
        read = maoocr.spark.recognize(data.drop("modificationTime"), requirements={FAST!r}, shared=shared)
        read.write.parquet({str(out)!r})
    """
    done = spark(code)
    assert done.returncode == 0, done.stderr
    table = pq.read_table(out)
    assert table.schema.names == [*bulk.schema().names, "length"]
    types = [str(table.schema.field(field.name).type).replace("element:", "item:") for field in bulk.schema()]
    assert types == [str(field.type).replace("element:", "item:") for field in bulk.schema()]
    rows = {os.path.basename(row["path"]): row for row in table.to_pylist()}
    assert len(rows) == 12 and rows["broken.JPG"]["error"]["code"] == "truncated"
    assert rows["notes.txt"]["error"]["code"] == "unknown_format" and rows["notes.txt"]["length"] == 10
    wanted = ocr.recognize_with_requirements(folder / "below/4-dark.png", {**FAST, "batch_processing": True})
    assert rows["4-dark.png"]["text"] == wanted.text
