"""Runs ONNX Runtime on the inputs that main.rs wrote: the answers that the executors must give.

Reads DIR/cases.json, [{"model": path, "input": name, "shape": [...], "output": name}], and writes each output, numbered, as
little-endian f32 with the shapes of all as JSON beside them.
"""

import json
import pathlib
import sys

import numpy as np
import onnxruntime as ort

folder = pathlib.Path(sys.argv[1])
# One thread and the plain order of additions: the same numbers on every run of a machine.
options = ort.SessionOptions()
options.intra_op_num_threads = 1
sessions = {}
for case in json.loads((folder / "cases.json").read_text()):
    model = case["model"]
    if model not in sessions:
        sessions[model] = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    session = sessions[model]
    data = np.fromfile(folder / case["input"], dtype="<f4").reshape(case["shape"])
    outputs = session.run(None, {session.get_inputs()[0].name: data})
    for index, output in enumerate(outputs):
        output.astype("<f4").tofile(folder / f"{case['output']}.{index}")
    shapes = [output.shape for output in outputs]
    (folder / (case["output"] + ".json")).write_text(json.dumps(shapes))
