"""Runs models with ONNX Runtime for a test that talks to it over pipes.

Request: a line of JSON, {"model": path, "shape": [...]}, then the input as little-endian f32. Answer: a line of JSON,
{"shape": [...]}, then the output in the same form. One thread, so that sums are added in the same order every time.
"""

import json
import sys

import numpy as np
import onnxruntime as ort

options = ort.SessionOptions()
options.intra_op_num_threads = 1
sessions = {}
requests, answers = sys.stdin.buffer, sys.stdout.buffer
while line := requests.readline():
    request = json.loads(line)
    model, shape = request["model"], request["shape"]
    if model not in sessions:
        sessions[model] = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    session = sessions[model]
    data = np.frombuffer(requests.read(4 * int(np.prod(shape))), dtype="<f4").reshape(shape)
    output = session.run(None, {session.get_inputs()[0].name: data})[0].astype("<f4")
    answers.write(json.dumps({"shape": output.shape}).encode() + b"\n")
    answers.write(output.tobytes())
    answers.flush()
