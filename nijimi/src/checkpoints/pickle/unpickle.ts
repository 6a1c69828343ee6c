/**
 * The stack machine of Python's pickles (protocols 0 to 5, as `pickletools` describes them), over data only.
 *
 * Python's own machine imports and calls what the file names. This one does neither: names and calls go
 * to a {@link PicklePolicy}, which knows a fixed list of them, builds data, and refuses everything else.
 */
import { NijimiError } from "../../errors.ts";
import { OPERATIONS, STOP } from "./operations.ts";
import { byteReader, type ByteReader } from "../files/byte-reader.ts";
import type { PickleGlobal, PickleValue } from "./values.ts";

/** Decides what names in a pickle stand for. */
export interface PicklePolicy {
  /** Checks a name when it is first seen. @throws NijimiError `unsafe` for one that is not known */
  resolve(global: PickleGlobal): PickleGlobal;
  /** The data that calling `global` would have made. */
  call(global: PickleGlobal, args: readonly PickleValue[]): PickleValue;
  /** Sets the state of an object. */
  build(target: PickleValue, state: PickleValue): void;
  /** What a persistent id stands for. */
  persistent(id: PickleValue): PickleValue;
}

/** The machine's state as operations see it. */
export interface Machine {
  readonly reader: ByteReader;
  readonly policy: PicklePolicy;
  push(value: PickleValue): void;
  /** Pushes a container that has just been made. */
  make(container: PickleValue): void;
  pop(): PickleValue;
  /** The topmost value, which stays. */
  top(): PickleValue;
  mark(): void;
  /** Everything above the last mark; the mark goes as well. */
  popToMark(): PickleValue[];
  /** Stores the topmost value under a number, by default the next one. */
  remember(index?: number): void;
  /** The value stored under a number. */
  recall(index: number): PickleValue;
  /** The error for a pickle that breaks the rules of its format. */
  damaged(problem: string): NijimiError;
}

/**
 * What the containers of a pickle may take in memory, roughly and with all that is made of them later: a byte of the
 * file is enough for an empty one. Larger files may have more.
 */
const CONTAINER_BUDGET = 2 ** 26;
const DICT_BYTES = 512;
const LIST_BYTES = 256;
/** Values on the stack, and in the memo; larger files may have more. */
const MAX_VALUES = 2 ** 20;

/**
 * Reads one pickle from `start` on; `end` is the byte after it.
 *
 * @throws NijimiError `format` for a damaged pickle; whatever the policy throws
 */
export function unpickle(
  bytes: Uint8Array,
  policy: PicklePolicy,
  { start = 0, name = "pickle" }: { readonly start?: number; readonly name?: string } = {},
): { readonly value: PickleValue; readonly end: number } {
  const reader = byteReader(bytes, start, name);
  const machine = makeMachine(reader, policy, bytes.length, name);
  for (;;) {
    const opcode = reader.unsigned(1);
    if (opcode === STOP) return { value: machine.pop(), end: reader.position() };
    const operation = OPERATIONS[opcode];
    if (!operation) throw machine.damaged(`0x${opcode.toString(16)} is not an opcode`);
    operation(machine);
  }
}

function makeMachine(
  reader: ByteReader,
  policy: PicklePolicy,
  size: number,
  name: string,
): Machine {
  const maxValues = MAX_VALUES + size / 4;
  let budget = CONTAINER_BUDGET + 4 * size;
  const stack: PickleValue[] = [];
  const marks: number[] = [];
  const memo = new Map<number, PickleValue>();

  const damaged = (problem: string) =>
    new NijimiError(
      "format",
      `${name} is not a valid pickle: ${problem}, before byte ${reader.position()}.`,
    );

  function top(): PickleValue {
    if (stack.length <= (marks.at(-1) ?? 0)) throw damaged("its stack is empty");
    return stack[stack.length - 1];
  }

  function push(value: PickleValue): void {
    if (stack.length >= maxValues) throw damaged("its stack is higher than any checkpoint needs");
    stack.push(value);
  }

  return {
    reader,
    policy,
    damaged,
    top,
    push,
    make: (container) => {
      budget -= container instanceof Map ? DICT_BYTES : LIST_BYTES;
      if (budget < 0) throw damaged("it has more containers than any checkpoint needs");
      push(container);
    },
    pop: () => {
      const value = top();
      stack.pop();
      return value;
    },
    mark: () => void marks.push(stack.length),
    popToMark: () => {
      const base = marks.pop();
      if (base === undefined) throw damaged("a mark is missing");
      return stack.splice(base);
    },
    remember: (index = memo.size) => {
      if (memo.size >= maxValues) throw damaged("it stores more values than any checkpoint needs");
      memo.set(index, top());
    },
    recall: (index) => {
      const value = memo.get(index);
      if (value === undefined)
        throw damaged(`it refers to the value ${index}, which was never stored`);
      return value;
    },
  };
}
