"""Times ONNX Runtime on given input shapes and RapidOCR on given pictures, one thread, processor time.

usage: peers.py JOB.json. JOB: {models: {name: {path, shapes}}, rounds, files, detector, recogniser, dictionary}.
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


def network(model, rounds):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model["path"], options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    noise = numpy.random.default_rng(1)
    total = 0.0
    for shape, count in collections.Counter(map(tuple, model["shapes"])).items():
        value = noise.standard_normal(shape, dtype=numpy.float32)
        total += count * least(rounds, lambda: session.run(None, {name: value}))
    return total


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
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    networks = {name: network(model, job["rounds"]) for name, model in job["models"].items()}
    print()
    print(json.dumps({"onnxruntime": networks, "rapidocr": pipeline(job)}))


main()
