/** Mutations of bytes: what damaged and hostile files look like. */
import type { Random } from "./random.ts";

/** What a target lends to its mutations. */
export interface Material {
  /** Well-formed and hostile inputs to start from. */
  readonly seeds: readonly Uint8Array[];
  /** Words of the format, inserted and written over. */
  readonly dictionary?: readonly Uint8Array[];
}

/** No input is larger. */
export const MAX_BYTES = 2 ** 20;

/** A new input: a seed with one to eight mutations, sometimes crossed with another seed. */
export function mutate({ seeds, dictionary = [] }: Material, random: Random): Uint8Array {
  let bytes = random.pick(seeds);
  for (let rounds = 1 + random.int(random.pick([1, 2, 4, 8])); rounds > 0; rounds--) {
    const mutation = random.pick(MUTATIONS);
    bytes = mutation(bytes, random, { seeds, dictionary }).subarray(0, MAX_BYTES);
  }
  return bytes;
}

type Mutation = (bytes: Uint8Array, random: Random, material: Required<Material>) => Uint8Array;

/** Numbers at which arithmetic goes wrong. */
const EDGES = [0n, 1n, 2n, 7n, 0x7fn, 0x80n, 0xffn, 0x100n, 0x7fffn, 0x8000n, 0xffffn, 0x10000n];
const WIDE_EDGES = [
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n,
  2n ** 62n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** Numbers as text, for formats that write them so. */
const DIGITS = [
  "0",
  "-1",
  "1e9",
  "4294967296",
  "9007199254740993",
  "18446744073709551616",
  "1e999",
  "0.5",
  "NaN",
  "null",
];

const MUTATIONS: readonly Mutation[] = [
  flipBits,
  flipBits,
  writeEdge,
  writeEdge,
  writeRandom,
  insertRandom,
  removeRange,
  repeatRange,
  copyRange,
  cut,
  splice,
  insertWord,
  insertWord,
  writeWord,
  replaceNumber,
  replaceNumber,
];

function flipBits(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  for (let n = 1 + random.int(4); n > 0 && copy.length > 0; n--)
    copy[random.int(copy.length)] ^= 1 << random.int(8);
  return copy;
}

/** Writes an extreme integer of 1, 2, 4 or 8 bytes in either byte order. */
function writeEdge(bytes: Uint8Array, random: Random): Uint8Array {
  const size = random.pick([1, 2, 4, 8]);
  if (bytes.length < size) return bytes;
  let value = random.pick(size > 4 ? [...EDGES, ...WIDE_EDGES] : EDGES);
  if (random.oneIn(4)) value = BigInt.asUintN(64, -value);
  const digits = Uint8Array.from({ length: size }, (_, i) =>
    Number((value >> BigInt(8 * i)) & 255n),
  );
  const copy = bytes.slice();
  copy.set(random.oneIn(4) ? digits.reverse() : digits, random.int(bytes.length - size + 1));
  return copy;
}

function writeRandom(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  const { begin, end } = range(bytes, random, 32);
  for (let i = begin; i < end; i++) copy[i] = random.int(256);
  return copy;
}

function insertRandom(bytes: Uint8Array, random: Random): Uint8Array {
  const inserted = Uint8Array.from({ length: 1 + random.int(16) }, () => random.int(256));
  return insert(bytes, random.int(bytes.length + 1), inserted);
}

function removeRange(bytes: Uint8Array, random: Random): Uint8Array {
  const { begin, end } = range(bytes, random, 256);
  return concat(bytes.subarray(0, begin), bytes.subarray(end));
}

/** Repeats a range, rarely very often: what is nested or counted. */
function repeatRange(bytes: Uint8Array, random: Random): Uint8Array {
  const { begin, end } = range(bytes, random, 64);
  const times = Math.min(
    random.oneIn(16) ? 10_000 : 1 + random.int(8),
    Math.floor(MAX_BYTES / 2 / (end - begin + 1)),
  );
  const repeated = concat(...Array.from({ length: times }, () => bytes.subarray(begin, end)));
  return insert(bytes, begin, repeated);
}

function copyRange(bytes: Uint8Array, random: Random): Uint8Array {
  const { begin, end } = range(bytes, random, 128);
  const copy = bytes.slice();
  copy.copyWithin(random.int(bytes.length + 1), begin, end);
  return copy;
}

function cut(bytes: Uint8Array, random: Random): Uint8Array {
  return bytes.subarray(0, random.int(bytes.length + 1));
}

/** The beginning of one input and the end of another. */
function splice(bytes: Uint8Array, random: Random, { seeds }: Required<Material>): Uint8Array {
  const other = random.pick(seeds);
  return concat(
    bytes.subarray(0, random.int(bytes.length + 1)),
    other.subarray(random.int(other.length + 1)),
  );
}

function insertWord(
  bytes: Uint8Array,
  random: Random,
  { dictionary }: Required<Material>,
): Uint8Array {
  if (dictionary.length === 0) return insertRandom(bytes, random);
  return insert(bytes, random.int(bytes.length + 1), random.pick(dictionary));
}

function writeWord(
  bytes: Uint8Array,
  random: Random,
  { dictionary }: Required<Material>,
): Uint8Array {
  if (dictionary.length === 0) return writeRandom(bytes, random);
  const word = random.pick(dictionary);
  if (word.length > bytes.length) return bytes;
  const copy = bytes.slice();
  copy.set(word, random.int(bytes.length - word.length + 1));
  return copy;
}

/** Another number in place of a run of ASCII digits. */
function replaceNumber(bytes: Uint8Array, random: Random): Uint8Array {
  const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;
  let begin = random.int(bytes.length + 1);
  while (begin < bytes.length && !isDigit(bytes[begin])) begin++;
  if (begin === bytes.length) return bytes;
  let end = begin;
  while (end < bytes.length && isDigit(bytes[end])) end++;
  const number = new TextEncoder().encode(random.pick(DIGITS));
  return concat(bytes.subarray(0, begin), number, bytes.subarray(end));
}

function range(
  bytes: Uint8Array,
  random: Random,
  longest: number,
): { readonly begin: number; readonly end: number } {
  const begin = random.int(bytes.length + 1);
  return { begin, end: Math.min(bytes.length, begin + 1 + random.int(longest)) };
}

function insert(bytes: Uint8Array, at: number, inserted: Uint8Array): Uint8Array {
  return concat(bytes.subarray(0, at), inserted, bytes.subarray(at));
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
