"""Makes the conformance case for GGUF: every block format with random contents, dequantised by the `gguf` package.

python make_gguf_case.py FOLDER
"""

import json
import sys
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import quants
from safetensors.numpy import save_file

SEED = 20240607
BLOCK_TYPES = [T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K]
# Where a block keeps its float16 numbers, in bytes: random bits there could be NaN.
HALVES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
}


def random_blocks(kind: T, rows: int, blocks: int, rng: np.random.Generator) -> np.ndarray:
    size = gguf.GGML_QUANT_SIZES[kind][1]
    data = rng.integers(0, 256, (rows, blocks, size), dtype=np.uint8)
    for at in HALVES[kind]:
        data[:, :, at : at + 2] = rng.normal(0, 0.1, (rows, blocks, 1)).astype(np.float16).view(np.uint8)
    return data.reshape(rows, blocks * size)


def main(folder: Path) -> None:
    rng = np.random.default_rng(SEED)
    writer = gguf.GGUFWriter(folder / "gguf_types.gguf", "test")
    writer.add_string("test.text", "滲み")
    writer.add_array("test.list", [1, 2, 3])
    writer.add_float32("test.half", 0.5)
    writer.add_uint64("test.large", 2**53 + 1)
    writer.add_bool("test.flag", True)
    expected: dict[str, np.ndarray] = {}
    for kind in BLOCK_TYPES:
        data = random_blocks(kind, 3, 2, rng)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
        expected[f"out.{kind.name}"] = quants.dequantize(data, kind)
    for dtype in [np.float32, np.float16, np.float64, np.int8, np.int16, np.int32, np.int64]:
        data = rng.normal(0, 9, (2, 3, 4)).astype(dtype)
        writer.add_tensor(np.dtype(dtype).name, data)
        expected[f"out.{np.dtype(dtype).name}"] = data
    brain = quants.quantize(rng.normal(0, 9, (4, 5)).astype(np.float32), T.BF16)
    writer.add_tensor("bfloat16", brain, raw_dtype=T.BF16)
    expected["out.bfloat16"] = quants.dequantize(brain, T.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file({name: np.ascontiguousarray(value) for name, value in expected.items()}, folder / "gguf_types.safetensors")
    case = {
        "name": "gguf_types",
        "section": "checkpoints",
        "description": "gguf_types.gguf: every element and block type that is read, with random contents",
        "function": "gguf.quants.dequantize",
        "library": {"gguf": "0.19.0", "numpy": np.__version__},
        "config": {
            "file": "gguf_types.gguf",
            "metadata": {"test.text": "滲み", "test.list": [1, 2, 3], "test.half": 0.5, "test.flag": True},
        },
        "tolerance": {"atol": 0, "rtol": 0},
        "seed": SEED,
    }
    (folder / "gguf_types.json").write_text(json.dumps(case, indent=1, ensure_ascii=False) + "\n")


main(Path(sys.argv[1]))
