/**
 * The names a checkpoint may use, and what they stand for. Everything is in the tables of this folder;
 * whatever is not there is refused by its name, before anything is made of it.
 */
import { NijimiError } from "../../errors.ts";
import { asCount, asItems, asText, badCall, describe } from "./arguments.ts";
import { buildArray, buildArrayType, NUMPY_CALLS } from "./numpy-calls.ts";
import {
  STORAGE_DTYPES,
  TORCH_CALLS,
  TORCH_DTYPES,
  UNTYPED_STORAGES,
  type Call,
} from "./torch-calls.ts";
import type { PicklePolicy } from "./unpickle.ts";
import {
  globalName,
  isKind,
  type PickleDict,
  type PickleGlobal,
  type PickleObject,
  type PickleValue,
  type StorageRef,
} from "./values.ts";

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

const CALLS: ReadonlyMap<string, Call> = new Map(
  Object.entries({ ...CONTAINER_CALLS, ...TORCH_CALLS, ...NUMPY_CALLS }),
);

/** Classes that are containers of data; objects of them are kept as data. */
const DATA_CLASSES: ReadonlySet<string> = new Set([
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
const PLAIN_NAMES: ReadonlySet<string> = new Set([
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
  "typing.Any",
]);

/** Lightning keeps the classes of callbacks as keys of dicts. */
const PLAIN_MODULES =
  /^(pytorch_lightning|lightning|lightning\.pytorch)\.callbacks(\.[A-Za-z_]\w*)*$/;

/** What torch stores beside dense tensors: harmless, but there is no place for it here. */
const NOT_READ: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/^torch\._utils\._rebuild_(sparse|nested|meta)\w*$/, "a sparse, nested or empty tensor"],
  [/^torch\._utils\._rebuild_\w*qtensor$/, "a tensor quantised by torch"],
  [/^torch\.Q\w+Storage$/, "a tensor quantised by torch"],
  [/^torch\.Complex\w+Storage$/, "a tensor of complex numbers"],
  [/^torch\.nn\.modules\.[\w.]+$/, "a whole torch module; save its state_dict() instead"],
];

/** Python 2's names of modules. */
const RENAMED_MODULES: Readonly<Record<string, string>> = {
  __builtin__: "builtins",
  copy_reg: "copyreg",
};

/**
 * What calls may copy in total, in bytes, beside a multiple of the pickle's size: a call takes a few bytes
 * of the file, whatever the size of its arguments.
 */
const COPY_BUDGET = 2 ** 26;
/** More arguments than any known function takes. */
const MAX_ARGUMENTS = 32;
/** Rough size of an item in a list or dict. */
const ITEM_BYTES = 64;
/** Rough size of what a call makes, whatever its arguments. */
const RESULT_BYTES = 512;

const RECONSTRUCTOR = "copyreg._reconstructor";

/** What distinguishes the containers of pickles. */
export interface PolicyOptions {
  /** Name of the file, for messages. */
  readonly name: string;
  /** Accept the classes of a TorchScript archive, which are all called `__torch__.…`, as containers of data. */
  readonly torchScript?: boolean;
  /** Bytes of the pickle: a larger one may make more. @default 0 */
  readonly size?: number;
  /** Called with every storage named in the pickle. */
  readonly onStorage?: (storage: StorageRef) => void;
}

/** The policy for checkpoints. */
export function checkpointPolicy(options: PolicyOptions): PicklePolicy {
  const { name: file, torchScript = false, size = 0, onStorage } = options;
  let budget = COPY_BUDGET + 16 * size;
  const isData = (name: string) =>
    DATA_CLASSES.has(name) || (torchScript && name.startsWith("__torch__."));

  function resolve({ module, name }: PickleGlobal): PickleGlobal {
    const global: PickleGlobal = { kind: "global", module: renamed(module), name };
    const full = globalName(global);
    const plain =
      PLAIN_NAMES.has(full) || (PLAIN_MODULES.test(module) && /^[A-Za-z_]\w*$/.test(name));
    const known = CALLS.has(full) || full === RECONSTRUCTOR || isData(full) || plain;
    // A dot inside `name` would walk from an allowed module to any other.
    if (known && !name.includes(".")) return global;
    const reason = NOT_READ.find(([pattern]) => pattern.test(full));
    if (reason)
      throw new NijimiError(
        "unsupported",
        `${file} holds ${full}, ${reason[1]}; only dense tensors are read.`,
      );
    throw refused(file, full);
  }

  function call(global: PickleGlobal, args: readonly PickleValue[]): PickleValue {
    const name = globalName(global);
    if (args.length > MAX_ARGUMENTS) throw badCall(name, `${args.length} arguments`);
    budget -= RESULT_BYTES + copiedBytes(args);
    if (budget < 0) throw badCall(name, "the same large arguments again and again");
    if (name === RECONSTRUCTOR) return reconstruct(args);
    if (isData(name)) return emptyObject(global, args);
    const known = CALLS.get(name);
    if (!known) throw refused(file, name);
    return known(args);
  }

  /** copyreg._reconstructor(class, base, state): how protocols 0 and 1 make objects. */
  function reconstruct([type]: readonly PickleValue[]): PickleObject {
    if (isKind(type, "global") && isData(globalName(type))) return emptyObject(type, []);
    throw refused(file, isKind(type, "global") ? globalName(type) : describe(type));
  }

  function build(target: PickleValue, state: PickleValue): void {
    if (isKind(target, "array")) return buildArray(target, state);
    if (isKind(target, "array-type")) return buildArrayType(target, state);
    if (isKind(target, "object")) return void target.states.push(...statesOf(state));
    // An OrderedDict's own attributes (torch's `_metadata`: versions of modules) say nothing about weights.
    if (target instanceof Map) return void statesOf(state);
    const what = isKind(target, "global") ? globalName(target) : describe(target);
    throw new NijimiError(
      "unsafe",
      `${file} sets the state of ${what}, which could run its code; it is not read.`,
    );
  }

  return { resolve, call, build, persistent: (id) => storageOf(id, onStorage) };
}

function refused(file: string, name: string): NijimiError {
  const shown = name.length > 200 ? `${name.slice(0, 200)}…` : name;
  return new NijimiError(
    "unsafe",
    `${file} asks for ${JSON.stringify(shown)}, which is neither a tensor nor a plain container: ` +
      "loading it in Python could run any code, so nothing of it is read. " +
      "Get the weights as .safetensors, or save the plain state_dict again where you trust the file.",
  );
}

function renamed(module: string): string {
  return Object.hasOwn(RENAMED_MODULES, module) ? RENAMED_MODULES[module] : module;
}

function emptyObject(type: PickleGlobal, args: readonly PickleValue[]): PickleObject {
  return { kind: "object", type, args, states: [], entries: new Map(), items: [] };
}

/** State is the `__dict__`, or a pair of it and the `__slots__`. */
function statesOf(state: PickleValue): PickleDict[] {
  const parts = isKind(state, "tuple") ? state.items : [state];
  if (parts.length > 2) throw badCall("__setstate__", `a tuple of ${parts.length}`);
  return parts.flatMap((part) => {
    if (part === null) return [];
    if (part instanceof Map) return [part];
    throw badCall("__setstate__", `${describe(part)} where a dict belongs`);
  });
}

function copiedBytes(args: readonly PickleValue[]): number {
  return args.reduce<number>((sum, arg) => sum + sizeOfArgument(arg), 0);
}

function sizeOfArgument(arg: PickleValue): number {
  if (typeof arg === "string" || arg instanceof Uint8Array) return arg.length;
  if (Array.isArray(arg)) return arg.length * ITEM_BYTES;
  if (arg instanceof Map) return arg.size * ITEM_BYTES;
  return isKind(arg, "tuple") || isKind(arg, "set") ? arg.items.length * ITEM_BYTES : 0;
}

/** ("storage", type, key, device, count[, view of another storage]). */
function storageOf(id: PickleValue, onStorage?: (storage: StorageRef) => void): StorageRef {
  const what = "a persistent id";
  const [tag, type, key, , count, view] = asItems(id, what);
  if (tag !== "storage") throw badCall(what, `${describe(tag)} where "storage" belongs`);
  const typeName = isKind(type, "global") ? globalName(type) : describe(type);
  const untyped = UNTYPED_STORAGES.includes(typeName);
  const dtype = Object.hasOwn(STORAGE_DTYPES, typeName) ? STORAGE_DTYPES[typeName] : undefined;
  if (!untyped && !dtype)
    throw new NijimiError(
      "unsupported",
      `Storages of type ${typeName} are not read; accepted: ${Object.keys(STORAGE_DTYPES).join(", ")}.`,
    );
  const base: StorageRef = {
    kind: "storage",
    dtype,
    key: storageKey(key),
    count: asCount(count, what),
    start: 0,
  };
  onStorage?.(base);
  return view === null || view === undefined ? base : viewOf(base, asItems(view, what));
}

/** (key, first element, count): a storage inside another one. */
function viewOf(base: StorageRef, [, start, count]: readonly PickleValue[]): StorageRef {
  const what = "a view of a storage";
  return { ...base, start: asCount(start, what), count: asCount(count, what) };
}

function storageKey(key: PickleValue | undefined): string {
  const text = typeof key === "number" ? String(key) : asText(key, "a persistent id");
  if (/^[\w-]{1,64}$/.test(text)) return text;
  throw new NijimiError(
    "unsafe",
    `The pickle names the storage ${JSON.stringify(text.slice(0, 200))}, which is not a plain name; it is not opened.`,
  );
}

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
