"""Checks exported ONNX files: onnx.checker, no operator outside the standard domain, and the same outputs in ONNX's
own reference evaluator as the ones recorded beside each model.

Usage: check_onnx.py FOLDER     (NAME.onnx with NAME.json: {"inputs": {name: {dtype, shape, values}}, "outputs": {…}})
"""
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

failed = 0
folder = pathlib.Path(sys.argv[1])
for path in sorted(folder.glob("*.onnx")):
    record = json.loads(path.with_suffix(".json").read_text())
    tensors = lambda part: {k: np.array(v["values"], dtype=v["dtype"]).reshape(v["shape"]) for k, v in record[part].items()}
    try:
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.load(str(path))
        foreign = {node.domain for node in model.graph.node} - {""}
        assert not foreign, f"operators of {foreign}"
        names = [output.name for output in model.graph.output]
        got = dict(zip(names, ReferenceEvaluator(model).run(None, tensors("inputs"))))
        worst = max(float(np.abs(got[k] - v).max()) for k, v in tensors("outputs").items())
        assert worst < 1e-3, f"differs by {worst}"
        print(f"ok   {path.stem}  error {worst:.1e}")
    except Exception as error:  # every file is reported
        failed += 1
        print(f"FAIL {path.stem}  {error}")
sys.exit(failed > 0)
