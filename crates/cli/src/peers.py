"""Times ONNX Runtime on given input shapes and RapidOCR on given pictures, one thread, processor time.

usage: peers.py JOB.json, or peers.py alone to run networks one at a time: each line of input {model, shape}, each line
of output {"seconds": s}, without the first run of a model on a shape. JOB: {models: {name: {path, shapes}}, rounds, files, detector, recogniser, dictionary}.
The last line of output: {"onnxruntime": {name: s}, "rapidocr": {"seconds": s, "characters": n}}.
"""
import collections
import json
import sys
import time

import numpy
import onnxruntime
from rapidocr import RapidOCR


def least(rounds, run):
    run()
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        run()
        spent.append(time.process_time() - began)
    return min(spent)


def load(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def runner(session, shape):
    name = session.get_inputs()[0].name
    value = numpy.random.default_rng(1).standard_normal(shape, dtype=numpy.float32)
    return lambda: session.run(None, {name: value})


def network(model, rounds):
    session = load(model["path"])
    total = 0.0
    for shape, count in collections.Counter(map(tuple, model["shapes"])).items():
        total += count * least(rounds, runner(session, shape))
    return total


def serve():
    sessions, runners = {}, {}
    for line in sys.stdin:
        request = json.loads(line)
        path, shape = request["model"], tuple(request["shape"])
        if path not in sessions:
            sessions[path] = load(path)
        if (path, shape) not in runners:
            runners[path, shape] = runner(sessions[path], shape)
            runners[path, shape]()
        began = time.process_time()
        runners[path, shape]()
        print(json.dumps({"seconds": time.process_time() - began}), flush=True)


def pipeline(job):
    engine = RapidOCR(params={
        "Det.model_path": job["detector"],
        "Rec.model_path": job["recogniser"],
        "Rec.rec_keys_path": job["dictionary"],
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    })
    seconds, characters = 0.0, 0
    for file in job["files"]:
        result = engine(file)
        characters += sum(len(t) for t in (getattr(result, "txts", None) or ()))
        seconds += least(job["rounds"], lambda: engine(file))
    return {"seconds": seconds, "characters": characters}


def main():
    if len(sys.argv) < 2:
        serve()
        return
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    networks = {name: network(model, job["rounds"]) for name, model in job["models"].items()}
    print()
    print(json.dumps({"onnxruntime": networks, "rapidocr": pipeline(job)}))


main()
