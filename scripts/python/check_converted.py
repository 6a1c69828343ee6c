"""Loads folders written by nijimi with diffusers and transformers.

Reads a JSON list of {"folder", "reference"} from standard input. A folder must load with no missing and no
unexpected key; where a reference folder is given, every tensor must be equal to the reference's, rounded to the
folder's element type, and every value of the two configs alike. Prints one line per folder; ends with 1 when one
failed.
"""

import inspect
import json
import os
import sys
import warnings

import diffusers
import torch
import transformers
from safetensors import safe_open

warnings.filterwarnings("ignore")
diffusers.utils.logging.set_verbosity_error()
transformers.logging.set_verbosity_error()
diffusers.utils.logging.disable_progress_bar()

# Values that say how a config was written, not what the network computes.
INCIDENTAL = {
    "_diffusers_version",
    "_name_or_path",
    "_use_default_values",
    "architectures",
    "dtype",
    "id2label",
    "label2id",
    "sample_size",
    "torch_dtype",
    "transformers_version",
}


def read_json(path):
    with open(path) as file:
        return json.load(file)


def class_of(folder):
    config = read_json(os.path.join(folder, "config.json"))
    name = config.get("_class_name") or config["architectures"][0]
    return getattr(diffusers, name, None) or getattr(transformers, name)


def load_model(folder):
    has_variant = any(".fp16." in name for name in os.listdir(folder))
    variant = {"variant": "fp16"} if has_variant else {}
    model, info = class_of(folder).from_pretrained(folder, output_loading_info=True, **variant)
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        keys = [key for key in info.get(what) or [] if not str(key).endswith("position_ids")]
        if keys:
            raise ValueError(f"{what}: {keys[:3]}")
    return model


def file_types(folder):
    """Element types of the tensors in a folder's files: loading may turn them into others."""
    types = {}
    for name in os.listdir(folder):
        if name.endswith(".safetensors"):
            with safe_open(os.path.join(folder, name), "pt") as file:
                types.update({key: file.get_tensor(key).dtype for key in file.keys()})
    return types


def config_of(model):
    return dict(model.config) if isinstance(model, diffusers.ModelMixin) else model.config.to_dict()


def compare(model, reference, types):
    expected = reference.state_dict()
    got = model.state_dict()
    if set(got) != set(expected):
        raise ValueError(f"keys differ: {sorted(set(got) ^ set(expected))[:3]}")
    for key, value in got.items():
        rounded = expected[key].to(types.get(key, value.dtype)).float()
        if not torch.equal(value.float(), rounded):
            raise ValueError(f"{key} differs")
    ours, theirs = config_of(model), config_of(reference)
    for key in (set(theirs) & set(ours)) - INCIDENTAL:
        if plain(theirs[key]) != plain(ours[key]):
            raise ValueError(f"config {key}: {ours[key]!r}, expected {theirs[key]!r}")


def plain(value):
    return json.loads(json.dumps(value, default=str))


def parts_of(folder):
    """Folders of the networks of a pipeline, or the folder itself."""
    index = os.path.join(folder, "model_index.json")
    if not os.path.exists(index):
        return {"": folder}
    names = [name for name in read_json(index) if os.path.exists(os.path.join(folder, name, "config.json"))]
    return {name: os.path.join(folder, name) for name in names}


def load_pipeline(folder):
    index = read_json(os.path.join(folder, "model_index.json"))
    cls = getattr(diffusers, index["_class_name"])
    optional = [name for name, value in index.items() if isinstance(value, list) and value == [None, None]]
    wanted = inspect.signature(cls.__init__).parameters
    cls.from_pretrained(folder, **{name: None for name in optional if name in wanted})


def check(folder, reference):
    references = parts_of(reference) if reference else {}
    for name, part in parts_of(folder).items():
        model = load_model(part)
        if name in references:
            compare(model, load_model(references[name]), file_types(part))
    if os.path.exists(os.path.join(folder, "model_index.json")):
        load_pipeline(folder)


def main():
    failed = False
    for entry in json.load(sys.stdin):
        try:
            check(entry["folder"], entry.get("reference"))
            print(f"ok   {entry['folder']}")
        except Exception as error:  # every failure is a line of the report
            failed = True
            print(f"FAIL {entry['folder']}: {type(error).__name__}: {error}")
    sys.exit(1 if failed else 0)


main()
