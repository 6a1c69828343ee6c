"""Makes conformance cases for torch's files: a TorchScript archive, unusual element types, arrays of NumPy, a compressed zip.

python make_torch_cases.py FOLDER
"""

import collections
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

SEED = 20240607


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1 = torch.nn.LayerNorm(4)
        self.attn = torch.nn.Linear(4, 4)
        self.register_buffer("context_length", torch.tensor(77))
        self.width = 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attn(self.ln_1(x)) * float(self.width)


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.Sequential(Block(), Block())
        self.logit_scale = torch.nn.Parameter(torch.tensor(2.5))
        self.names = ["a", "b"]
        self.sizes = [1, 2, 3]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(x) * self.logit_scale


def flatten(value: object, path: str = "") -> dict[str, torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return {path: value.detach()}
    if isinstance(value, np.ndarray):
        return {path: torch.from_numpy(np.ascontiguousarray(value.astype(value.dtype.newbyteorder("="))))}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else []
    found: dict[str, torch.Tensor] = {}
    for key, child in items:
        found |= flatten(child, f"{path}.{key}" if path else str(key))
    return found


def write_case(folder: Path, file: str, description: str, expected: dict[str, torch.Tensor], metadata: dict) -> None:
    name = file.replace(".", "_")
    # Shared storages are what safetensors does not write.
    tensors = {f"out.{key}": value.clone().contiguous() for key, value in expected.items()}
    save_file(tensors, folder / f"{name}.safetensors")
    case = {
        "name": name,
        "section": "checkpoints",
        "description": description,
        "function": "torch.save / torch.load",
        "library": {"torch": torch.__version__, "numpy": np.__version__},
        "config": {"file": file, "metadata": metadata},
        "tolerance": {"atol": 0, "rtol": 0},
        "seed": SEED,
    }
    (folder / f"{name}.json").write_text(json.dumps(case, indent=1) + "\n")


def torchscript(folder: Path) -> None:
    model = Model()
    model.blocks[1].half()
    torch.jit.script(model).save(str(folder / "torchscript.pt"))
    expected = dict(model.state_dict())
    write_case(folder, "torchscript.pt", "torch.jit.save of nested modules, one of them in half", expected, {"blocks.0.training": True})


def types(folder: Path) -> None:
    base = torch.randn(4, 6)
    value = {
        "float8_e4m3fn": base.to(torch.float8_e4m3fn),
        "float8_e5m2": base.to(torch.float8_e5m2),
        "uint16": torch.arange(7).to(torch.uint16),
        "uint32": torch.arange(7).to(torch.uint32),
        "uint64": torch.arange(7).to(torch.uint64),
        "int8": torch.arange(-3, 4).to(torch.int8),
        "expanded": torch.arange(3.0).reshape(1, 3).expand(5, 3),
        "parameter": torch.nn.Parameter(base),
        "numpy": {
            "row": np.arange(6, dtype=np.float32).reshape(2, 3),
            "column": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
            "big": np.arange(6).astype(">i2"),
        },
        "scalar": np.float64(2.5),
        "ordered": collections.OrderedDict(size=torch.Size([1, 2]), device=torch.device("cpu"), dtype=torch.float16),
        "list": [base[1], base[:, 2]],
    }
    torch.save(value, folder / "types.pt")
    metadata = {"scalar": 2.5, "ordered": {"size": [1, 2], "device": "cpu", "dtype": "torch.float16"}}
    write_case(folder, "types.pt", "element types without a typed storage, expanded tensors, NumPy arrays", flatten(value), metadata)


def deflated(folder: Path) -> None:
    value = {"state_dict": {"zeros": torch.zeros(40, 50), "w": torch.randn(3, 4)}, "epoch": 3}
    torch.save(value, folder / "plain.tmp")
    with zipfile.ZipFile(folder / "plain.tmp") as plain, zipfile.ZipFile(folder / "deflated.ckpt", "w", zipfile.ZIP_DEFLATED) as packed:
        for item in plain.infolist():
            packed.writestr(item.filename, plain.read(item))
    (folder / "plain.tmp").unlink()
    write_case(folder, "deflated.ckpt", "a checkpoint whose zip was packed again with compression", flatten(value), {"epoch": 3})


def main(folder: Path) -> None:
    torch.manual_seed(SEED)
    torchscript(folder)
    types(folder)
    deflated(folder)


main(Path(sys.argv[1]))
