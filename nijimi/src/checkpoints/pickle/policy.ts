/**
 * The names a checkpoint may use, and what they stand for. Everything is in the tables of `known-names.ts`;
 * whatever is not there is refused by its name, before anything is made of it.
 */
import { NijimiError } from "../../errors.ts";
import { badCall, describe } from "./arguments.ts";
import {
  CALLS,
  DATA_CLASSES,
  NOT_READ,
  PLAIN_MODULES,
  PLAIN_NAMES,
  RENAMED_MODULES,
} from "./known-names.ts";
import { buildArray, buildArrayType } from "./numpy-calls.ts";
import { storageOf } from "./storage-id.ts";
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
