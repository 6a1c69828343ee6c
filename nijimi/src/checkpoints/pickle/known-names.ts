/** The names a checkpoint may use: tables of what is built for them, and of what is known but not read. */
import { asItems, asText, badCall, describe } from "./arguments.ts";
import { NUMPY_CALLS } from "./numpy-calls.ts";
import {
  STORAGE_DTYPES,
  TORCH_CALLS,
  TORCH_DTYPES,
  UNTYPED_STORAGES,
  type Call,
} from "./torch-calls.ts";
import type { PickleDict, PickleValue } from "./values.ts";

const CONTAINER_CALLS: Readonly<Record<string, Call>> = {
  "collections.OrderedDict": ([pairs]) => dictOf(pairs),
  "collections.defaultdict": () => new Map(),
  "collections.Counter": ([counts]) => dictOf(counts),
  // Protocols 0 to 2 write empty bytes so; others go through _codecs.encode.
  "builtins.bytes": () => new Uint8Array(0),
  "builtins.set": ([items = []]) => ({ kind: "set", items: [...asItems(items, "set")] }),
  "builtins.frozenset": ([items = []]) => ({
    kind: "set",
    items: [...asItems(items, "frozenset")],
  }),
  "_codecs.encode": ([text, encoding]) => encode(text, encoding),
};

/** Functions and classes that may be called. */
export const CALLS: ReadonlyMap<string, Call> = new Map(
  Object.entries({ ...CONTAINER_CALLS, ...TORCH_CALLS, ...NUMPY_CALLS }),
);

/** Classes that are containers of data; objects of them are kept as data. */
export const DATA_CLASSES: ReadonlySet<string> = new Set([
  "torch.nn.modules.container.ParameterDict",
  "torch.nn.modules.container.ParameterList",
  "argparse.Namespace",
  "types.SimpleNamespace",
  "easydict.EasyDict",
  "pytorch_lightning.utilities.parsing.AttributeDict",
  "lightning_fabric.utilities.data.AttributeDict",
  "lightning.fabric.utilities.data.AttributeDict",
  "omegaconf.dictconfig.DictConfig",
  "omegaconf.listconfig.ListConfig",
  "omegaconf.base.ContainerMetadata",
  "omegaconf.base.Metadata",
  "omegaconf.nodes.AnyNode",
]);

/** Names that may stand in a file and cannot be called. */
export const PLAIN_NAMES: ReadonlySet<string> = new Set([
  ...Object.keys(STORAGE_DTYPES),
  ...UNTYPED_STORAGES,
  ...Object.keys(TORCH_DTYPES),
  "torch.Tensor",
  "torch.nn.parameter.Parameter",
  "torch.nn.parameter.Buffer",
  "numpy.ndarray",
  "builtins.object",
  "builtins.int",
  "builtins.float",
  "builtins.bool",
  "builtins.str",
  "builtins.tuple",
  "builtins.list",
  "builtins.dict",
  "typing.Any",
]);

/** Lightning keeps the classes of callbacks as keys of dicts. */
export const PLAIN_MODULES =
  /^(pytorch_lightning|lightning|lightning\.pytorch)\.callbacks(\.[A-Za-z_]\w*)*$/;

/** What torch stores beside dense tensors: harmless, but there is no place for it here. */
export const NOT_READ: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/^torch\._utils\._rebuild_(sparse|nested|meta)\w*$/, "a sparse, nested or empty tensor"],
  [/^torch\._utils\._rebuild_\w*qtensor$/, "a tensor quantised by torch"],
  [/^torch\.Q\w+Storage$/, "a tensor quantised by torch"],
  [/^torch\.Complex\w+Storage$/, "a tensor of complex numbers"],
  [/^torch\.nn\.modules\.[\w.]+$/, "a whole torch module; save its state_dict() instead"],
];

/** Python 2's names of modules. */
export const RENAMED_MODULES: Readonly<Record<string, string>> = {
  __builtin__: "builtins",
  copy_reg: "copyreg",
};

function dictOf(pairs: PickleValue | undefined): PickleDict {
  if (pairs === undefined) return new Map();
  if (pairs instanceof Map) return new Map(pairs);
  return new Map(
    asItems(pairs, "dict").map((pair) => {
      const items = asItems(pair, "dict");
      if (items.length !== 2) throw badCall("dict", "what is not a pair");
      return [items[0], items[1]];
    }),
  );
}

/** Text back to the bytes it stands for, by which protocol 2 stores bytes. */
function encode(text: PickleValue | undefined, encoding: PickleValue | undefined): Uint8Array {
  const name = asText(encoding, "_codecs.encode").toLowerCase().replace("-", "");
  const value = asText(text, "_codecs.encode");
  if (name === "utf8") return new TextEncoder().encode(value);
  if (name !== "latin1" && name !== "ascii")
    throw badCall("_codecs.encode", `the encoding ${describe(encoding)}`);
  const bytes = new Uint8Array(value.length);
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code > 255) throw badCall("_codecs.encode", "a character beyond latin-1");
    bytes[i] = code;
  }
  return bytes;
}
