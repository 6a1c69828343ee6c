"""Loads diffusers folders and compares their weights with those of an original.

python check_diffusers_folders.py ORIGINAL COPY… : each COPY must load with no missing or unexpected key and have the
ORIGINAL's tensors, after the conversion that its name ends in (`-float16`, `-bfloat16`).
"""

import json
import sys
from pathlib import Path

import diffusers
import torch
import transformers

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def load_component(folder: Path, name: str, library: str, class_name: str, variant: str | None):
    cls = getattr(diffusers if library == "diffusers" else transformers, class_name)
    if not hasattr(cls, "state_dict"):
        return cls.from_pretrained(folder, subfolder=name), {}
    return cls.from_pretrained(
        folder,
        subfolder=name,
        variant=variant,
        torch_dtype=DTYPES.get(variant, torch.float32),
        low_cpu_mem_usage=False,
        output_loading_info=True,
    )


def check_component(original: Path, copy: Path, name: str, library: str, class_name: str) -> list[str]:
    variant = copy.name.split("-")[-1] if copy.name.split("-")[-1] in DTYPES else None
    expected, _ = load_component(original, name, library, class_name, None)
    got, info = load_component(copy, name, library, class_name, variant)
    problems = [f"{kind}: {info[kind]}" for kind in info if info[kind]]
    if not hasattr(expected, "state_dict"):
        return problems if expected.__class__ is got.__class__ else ["another class"]
    wanted, found = expected.state_dict(), got.state_dict()
    if wanted.keys() != found.keys():
        problems.append(f"other keys: {sorted(wanted.keys() ^ found.keys())[:5]}")
    for key in wanted.keys() & found.keys():
        value = wanted[key].to(DTYPES[variant]) if variant and wanted[key].is_floating_point() else wanted[key]
        if not torch.equal(value.float(), found[key].float()):
            problems.append(f"{key} differs")
    return problems


def main(original: Path, copies: list[Path]) -> int:
    failures = 0
    index = json.loads((original / "model_index.json").read_text())
    for copy in copies:
        for name, value in index.items():
            if name.startswith("_") or not isinstance(value, list) or value[0] is None:
                continue
            problems = check_component(original, copy, name, *value)
            failures += len(problems)
            print(f"{copy.name} {name}: {'; '.join(problems) or 'equal'}")
        if "-" not in copy.name:
            pipeline = diffusers.DiffusionPipeline.from_pretrained(copy, low_cpu_mem_usage=False)
            print(f"{copy.name}: {pipeline.__class__.__name__} loads")
    return failures


for library in (diffusers, transformers):
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()
sys.exit(1 if main(Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]]) else 0)
