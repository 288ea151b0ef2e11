"""Load at once, twice and four times what a server can do, a minute each: python load.py BASE PICTURE PID

With oha (https://crates.io/crates/oha). The server's result cache must be off (--cache 0). Prints goodput, latencies of
what was accepted and of what was refused, statuses, and the server's resident memory.
"""

import json
import subprocess
import sys

base, picture, pid = sys.argv[1:]


def load(*options):
    command = ["oha", "--no-tui", "--stats-success-breakdown", "--output-format", "json", "-m", "POST"]
    command += ["-T", "image/jpeg", "-D", picture, *options, base + "/api/ocr/recognize"]
    return json.loads(subprocess.check_output(command))


def goodput(result):
    return result["statusCodeDistribution"].get("200", 0) / result["summary"]["total"]


def latency(percentiles):
    values = (percentiles.get(p) for p in ("p50", "p99"))
    return " / ".join("-" if v is None else f"{v * 1000:.0f} ms" for v in values)


capacity = goodput(load("-z", "15s", "-c", "2"))
print(f"capacity {capacity:.1f} pictures a second")
for times in (1, 2, 4):
    result = load("-z", "60s", "-c", "64", "-q", str(round(capacity * times)), "-w")
    with open(f"/proc/{pid}/status") as status:
        resident = next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))
    print(
        f"{times} x: goodput {goodput(result):.2f}/s, "
        f"accepted p50 / p99 {latency(result['latencyPercentilesSuccessful'])}, "
        f"refused {latency(result['latencyPercentilesNotSuccessful'])}, "
        f"{result['statusCodeDistribution']}, errors {result['errorDistribution']}, {resident} MiB",
        flush=True,
    )
