/** What each opcode of a pickle does to the machine; names are those of Python's `pickletools`. */
import { NijimiError } from "../../errors.ts";
import { parseQuoted } from "./quoted.ts";
import { simplest } from "../files/byte-reader.ts";
import type { Machine } from "./unpickle.ts";
import {
  globalName,
  isKind,
  type PickleGlobal,
  type PickleTuple,
  type PickleValue,
} from "./values.ts";

type Operation = (machine: Machine) => void;

/** STOP, which ends a pickle. */
export const STOP = 0x2e;

const FRAMING: Readonly<Record<string, Operation>> = {
  // PROTO
  "\x80": ({ reader, damaged }) => {
    const protocol = reader.unsigned(1);
    if (protocol > 5) throw damaged(`its protocol is ${protocol}; at most 5 is known`);
  },
  // FRAME: only says how many bytes to read ahead
  "\x95": ({ reader }) => reader.require(reader.unsigned(8)),
};

const CONSTANTS: Readonly<Record<string, Operation>> = {
  N: ({ push }) => push(null), // NONE
  "\x88": ({ push }) => push(true), // NEWTRUE
  "\x89": ({ push }) => push(false), // NEWFALSE
  I: (m) => m.push(integerLine(m)), // INT
  L: (m) => m.push(decimal(m, m.reader.line().replace(/L$/, ""))), // LONG
  J: ({ push, reader }) => push(reader.int32()), // BININT
  K: ({ push, reader }) => push(reader.unsigned(1)), // BININT1
  M: ({ push, reader }) => push(reader.unsigned(2)), // BININT2
  "\x8a": ({ push, reader }) => push(reader.integer(reader.unsigned(1))), // LONG1
  "\x8b": ({ push, reader }) => push(reader.integer(reader.unsigned(4))), // LONG4
  F: (m) => m.push(floatLine(m)), // FLOAT
  G: ({ push, reader }) => push(reader.float(8, false)), // BINFLOAT
};

const STRINGS: Readonly<Record<string, Operation>> = {
  S: (m) => m.push(parseQuoted(m.reader.line(), m.damaged)), // STRING
  T: ({ push, reader }) => push(reader.textOrBytes(reader.unsigned(4))), // BINSTRING
  U: ({ push, reader }) => push(reader.textOrBytes(reader.unsigned(1))), // SHORT_BINSTRING
  B: ({ push, reader }) => push(reader.take(reader.unsigned(4))), // BINBYTES
  C: ({ push, reader }) => push(reader.take(reader.unsigned(1))), // SHORT_BINBYTES
  "\x8e": ({ push, reader }) => push(reader.take(reader.unsigned(8))), // BINBYTES8
  "\x96": ({ push, reader }) => push(reader.take(reader.unsigned(8))), // BYTEARRAY8
  V: ({ push, reader }) => push(unescapeUnicode(reader.line())), // UNICODE
  X: ({ push, reader }) => push(reader.text(reader.unsigned(4))), // BINUNICODE
  "\x8c": ({ push, reader }) => push(reader.text(reader.unsigned(1))), // SHORT_BINUNICODE
  "\x8d": ({ push, reader }) => push(reader.text(reader.unsigned(8))), // BINUNICODE8
};

const CONTAINERS: Readonly<Record<string, Operation>> = {
  "]": ({ make }) => make([]), // EMPTY_LIST
  l: ({ make, popToMark }) => make(popToMark()), // LIST
  a: (m) => append(m, [m.pop()]), // APPEND
  e: (m) => append(m, m.popToMark()), // APPENDS
  "}": ({ make }) => make(new Map()), // EMPTY_DICT
  d: (m) => {
    const items = m.popToMark(); // DICT
    m.make(new Map());
    setItems(m, items);
  },
  s: (m) => {
    const value = m.pop(); // SETITEM
    setItems(m, [m.pop(), value]);
  },
  u: (m) => setItems(m, m.popToMark()), // SETITEMS
  ")": ({ push }) => push(EMPTY_TUPLE), // EMPTY_TUPLE
  t: ({ make, popToMark }) => make(tuple(popToMark())), // TUPLE
  "\x85": (m) => m.make(tuple(popMany(m, 1))), // TUPLE1
  "\x86": (m) => m.make(tuple(popMany(m, 2))), // TUPLE2
  "\x87": (m) => m.make(tuple(popMany(m, 3))), // TUPLE3
  "\x8f": ({ make }) => make({ kind: "set", items: [] }), // EMPTY_SET
  "\x90": (m) => append(m, m.popToMark()), // ADDITEMS
  "\x91": ({ make, popToMark }) => make({ kind: "set", items: popToMark() }), // FROZENSET
};

const STACK: Readonly<Record<string, Operation>> = {
  "(": ({ mark }) => mark(), // MARK
  "0": ({ pop }) => void pop(), // POP
  "1": ({ popToMark }) => void popToMark(), // POP_MARK
  "2": ({ push, top }) => push(top()), // DUP
  p: (m) => m.remember(index(m, m.reader.line())), // PUT
  q: ({ remember, reader }) => remember(reader.unsigned(1)), // BINPUT
  r: ({ remember, reader }) => remember(reader.unsigned(4)), // LONG_BINPUT
  "\x94": ({ remember }) => remember(), // MEMOIZE
  g: (m) => m.push(m.recall(index(m, m.reader.line()))), // GET
  h: ({ push, recall, reader }) => push(recall(reader.unsigned(1))), // BINGET
  j: ({ push, recall, reader }) => push(recall(reader.unsigned(4))), // LONG_BINGET
};

const NAMES_AND_CALLS: Readonly<Record<string, Operation>> = {
  c: ({ push, policy, reader }) => push(policy.resolve(globalOf(reader.line(), reader.line()))), // GLOBAL
  "\x93": (m) => {
    const name = m.pop(); // STACK_GLOBAL
    const module = m.pop();
    if (typeof module !== "string" || typeof name !== "string")
      throw m.damaged("the name of a class is not text");
    m.push(m.policy.resolve(globalOf(module, name)));
  },
  R: (m) => {
    const args = m.pop(); // REDUCE
    m.push(call(m, m.pop(), args));
  },
  "\x81": (m) => {
    const args = m.pop(); // NEWOBJ
    m.push(call(m, m.pop(), args));
  },
  "\x92": (m) => {
    const keywords = m.pop(); // NEWOBJ_EX
    if (!(keywords instanceof Map) || keywords.size > 0)
      throw m.damaged("a constructor has keyword arguments");
    const args = m.pop();
    m.push(call(m, m.pop(), args));
  },
  i: (m) => {
    const { reader } = m; // INST
    const type = m.policy.resolve(globalOf(reader.line(), reader.line()));
    m.push(m.policy.call(type, m.popToMark()));
  },
  o: (m) => {
    const [type, ...args] = m.popToMark(); // OBJ
    m.push(call(m, type ?? null, tuple(args)));
  },
  b: (m) => {
    const state = m.pop(); // BUILD
    m.policy.build(m.top(), state);
  },
  P: ({ push, policy, reader }) => push(policy.persistent(reader.line())), // PERSID
  Q: (m) => m.push(m.policy.persistent(m.pop())), // BINPERSID
  "\x82": refuseExtension, // EXT1
  "\x83": refuseExtension, // EXT2
  "\x84": refuseExtension, // EXT4
  "\x97": refuseBuffer, // NEXT_BUFFER
  "\x98": refuseBuffer, // READONLY_BUFFER
};

/** Operations by opcode. */
export const OPERATIONS: readonly (Operation | undefined)[] = tabulate([
  FRAMING,
  CONSTANTS,
  STRINGS,
  CONTAINERS,
  STACK,
  NAMES_AND_CALLS,
]);

function tabulate(
  groups: readonly Readonly<Record<string, Operation>>[],
): (Operation | undefined)[] {
  const table: (Operation | undefined)[] = Array.from({ length: 256 });
  for (const group of groups)
    for (const [opcode, operation] of Object.entries(group))
      table[opcode.charCodeAt(0)] = operation;
  return table;
}

function globalOf(module: string, name: string): PickleGlobal {
  return { kind: "global", module, name };
}

const EMPTY_TUPLE = tuple([]);

function tuple(items: readonly PickleValue[]): PickleTuple {
  return { kind: "tuple", items };
}

function popMany(machine: Machine, count: number): PickleValue[] {
  return Array.from({ length: count }, () => machine.pop()).reverse();
}

/** Adds to the list or set that is now on top. */
function append(machine: Machine, values: readonly PickleValue[]): void {
  const target = machine.top();
  const items = Array.isArray(target)
    ? target
    : isKind(target, "set") || isKind(target, "object")
      ? target.items
      : undefined;
  if (!items) throw machine.damaged("something is appended to what is not a list");
  for (const value of values) items.push(value);
}

/** Sets keys and values, which alternate, in the dict that is now on top. */
function setItems(machine: Machine, items: readonly PickleValue[]): void {
  const target = machine.top();
  const entries =
    target instanceof Map ? target : isKind(target, "object") ? target.entries : undefined;
  if (!entries) throw machine.damaged("something is set by key in what is not a dict");
  if (items.length % 2 !== 0) throw machine.damaged("a key has no value");
  for (let i = 0; i < items.length; i += 2) {
    if (Array.isArray(items[i]) || items[i] instanceof Map)
      throw machine.damaged("a list or dict is the key of a dict");
    entries.set(items[i], items[i + 1]);
  }
}

function call({ policy, damaged }: Machine, callee: PickleValue, args: PickleValue): PickleValue {
  if (!isKind(callee, "global"))
    throw damaged("something is called that is not a function or class");
  if (!isKind(args, "tuple"))
    throw damaged(`the arguments of ${globalName(callee)} are not a tuple`);
  return policy.call(callee, args.items);
}

function refuseExtension({ reader }: Machine): never {
  const before = reader.position() - 1;
  throw new NijimiError(
    "unsafe",
    `The pickle asks Python's extension registry for a class, at byte ${before}; what that is nobody can know from the file, and it is not read.`,
  );
}

function refuseBuffer(): never {
  throw new NijimiError(
    "unsupported",
    "The pickle keeps data in buffers outside of the file; pickle it without buffer_callback.",
  );
}

/** INT: `01` and `00` are booleans. */
function integerLine(machine: Machine): PickleValue {
  const line = machine.reader.line();
  if (line === "01" || line === "00") return line === "01";
  return decimal(machine, line);
}

function decimal({ damaged }: Machine, digits: string): number | bigint {
  if (!/^[ \t]*[-+]?\d{1,1024}[ \t]*$/.test(digits))
    throw damaged(`${shorten(digits)} is not an integer`);
  const sign = digits.includes("-") ? -1n : 1n;
  return simplest(sign * BigInt(digits.replace(/[-+\s]/g, "")));
}

function floatLine({ reader, damaged }: Machine): number {
  const line = reader.line().trim();
  const special = /^([-+]?)(nan|inf|infinity)$/i.exec(line);
  if (special)
    return special[2].toLowerCase() === "nan" ? NaN : special[1] === "-" ? -Infinity : Infinity;
  if (!/^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(line))
    throw damaged(`${shorten(line)} is not a number`);
  return Number(line);
}

function index({ damaged }: Machine, digits: string): number {
  if (!/^\d{1,10}$/.test(digits)) throw damaged(`${shorten(digits)} is not a memo index`);
  return Number(digits);
}

function shorten(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

/** UNICODE: raw-unicode-escape, in which only `\u` and `\U` are special. */
function unescapeUnicode(line: string): string {
  return line.replace(
    /\\u([0-9a-fA-F]{4})|\\U00(10[0-9a-fA-F]{4}|0[0-9a-fA-F]{5})/g,
    (_, short, long) => String.fromCodePoint(Number.parseInt(short ?? long, 16)),
  );
}
