"""Feeds a server for a while and watches what it keeps: python soak.py BASE PID MINUTES FOLDER…

Sends every file below the folders again and again, whole, cut short and damaged, as forms, bare and as jobs. Prints
resident memory and open descriptors every half minute, then their trend and the statuses. Fails on any 5xx, on a
descriptor that stays, and on memory that grows by more than its noise after the first quarter.
"""

import json
import os
import random
import statistics
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

base, pid, minutes, *folders = sys.argv[1:]
pid, minutes = int(pid), float(minutes)
chance = random.Random(1)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def send(path, body, kind, method="POST"):
    request = urllib.request.Request(base + path, body, {"content-type": kind}, method=method)
    try:
        with opener.open(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def form(pictures):
    parts = [
        b'--b\r\ncontent-disposition: form-data; name="image"; filename="x"\r\n\r\n' + p + b"\r\n"
        for p in pictures
    ]
    return b"".join(parts) + b"--b--\r\n", "multipart/form-data; boundary=b"


def damaged(data):
    what = chance.randrange(10)
    if what == 0:
        return data[: chance.randrange(len(data))] or b"x"
    if what == 1:
        data = bytearray(data)
        for _ in range(20):
            data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data)
    return data


def resident():
    with open(f"/proc/{pid}/status") as status:
        return next(int(l.split()[1]) / 1024 for l in status if l.startswith("VmRSS"))


files = [p for f in folders for p in sorted(Path(f).rglob("*")) if p.is_file() and p.stat().st_size]
statuses, memory = Counter(), []
opener.open(base + "/ready", timeout=10).read()
descriptors = len(os.listdir(f"/proc/{pid}/fd"))
begin = shown = time.monotonic()
while time.monotonic() - begin < minutes * 60:
    data = damaged(chance.choice(files).read_bytes())
    way = chance.randrange(8)
    if way == 0:
        status, answer = send("/api/ocr/batch", *form([data, damaged(data)]))
        if status == 202 and chance.random() < 0.2:
            send("/api/jobs/" + json.loads(answer)["id"], None, "", "DELETE")
    elif way < 4:
        status, _ = send("/api/ocr/recognize?speed_requirement=high", data, "application/octet-stream")
    else:
        status, _ = send("/api/ocr/recognize", *form([data]))
    statuses[status] += 1
    if time.monotonic() - shown > 30:
        shown = time.monotonic()
        memory.append(((shown - begin) / 60, resident()))
        print(f"{memory[-1][0]:5.1f} min  {memory[-1][1]:6.0f} MiB  {len(os.listdir(f'/proc/{pid}/fd'))} descriptors", flush=True)

late = memory[len(memory) // 4 :]
slope, _ = statistics.linear_regression(*zip(*late))
noise = statistics.stdev(m for _, m in late)
time.sleep(5)
left = len(os.listdir(f"/proc/{pid}/fd")) - descriptors
print(f"statuses {dict(statuses)}")
print(f"memory {slope:+.2f} MiB a minute, noise {noise:.1f} MiB; descriptors {left:+d}")
grown = slope * (late[-1][0] - late[0][0])
sys.exit(bool(grown > 3 * noise or left > 5 or any(s >= 500 for s in statuses)))
