/** The header of a GGUF file (ggml/docs/gguf.md, versions 2 and 3): metadata and descriptions of tensors. */
import { NijimiError } from "../../errors.ts";
import type { MetadataValue } from "../checkpoint.ts";
import { byteReader, simplest, type ByteReader } from "../files/byte-reader.ts";

/** A tensor as its header describes it. */
export interface GgufTensor {
  readonly name: string;
  /** Sizes with the fastest-running first, the reverse of a shape. */
  readonly sizes: readonly number[];
  /** Number of its type, see `types.ts`. */
  readonly type: number;
  /** Counted from where the data begin. */
  readonly offset: number;
}

export interface GgufHeader {
  readonly metadata: Readonly<Record<string, MetadataValue>>;
  readonly tensors: readonly GgufTensor[];
  /** Where the data begin. */
  readonly dataOffset: number;
  /** What the beginnings of tensors are a multiple of. */
  readonly alignment: number;
}

const MAGIC_BYTES = 4;
const MAX_DIMENSIONS = 4;
const MAX_ARRAY_DEPTH = 4;
const DEFAULT_ALIGNMENT = 32;

/** Parses a header at the beginning of `bytes`. @throws EndOfBytes when it goes on after them */
export function parseGgufHeader(bytes: Uint8Array, name: string): GgufHeader {
  const reader = byteReader(bytes, MAGIC_BYTES, name);
  const version = reader.unsigned(4);
  if (version !== 2 && version !== 3)
    throw new NijimiError(
      "unsupported",
      `${name} is GGUF version ${version}; 2 and 3 are read. Convert it with a current llama.cpp.`,
    );
  const tensorCount = reader.unsigned(8);
  const metadataCount = reader.unsigned(8);
  const metadata = Object.create(null) as Record<string, MetadataValue>;
  for (let i = 0; i < metadataCount; i++) {
    const key = text(reader);
    if (key in metadata) throw damagedGguf(name, `the key ${JSON.stringify(key)} is there twice`);
    metadata[key] = value(reader, reader.unsigned(4), name, 0);
  }
  const alignment = parseAlignment(metadata["general.alignment"], name);
  const tensors: GgufTensor[] = [];
  for (let i = 0; i < tensorCount; i++) tensors.push(tensorInfo(reader, name));
  return {
    metadata,
    tensors,
    alignment,
    dataOffset: Math.ceil(reader.position() / alignment) * alignment,
  };
}

/** The error for a file that is damaged. */
export function damagedGguf(name: string, problem: string): NijimiError {
  return new NijimiError("format", `${name} is not a valid GGUF file: ${problem}.`);
}

function parseAlignment(value: MetadataValue | undefined, name: string): number {
  if (value === undefined) return DEFAULT_ALIGNMENT;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 2 ** 20)
    return value;
  throw damagedGguf(name, `its alignment is ${String(value)}`);
}

function tensorInfo(reader: ByteReader, file: string): GgufTensor {
  const name = text(reader);
  const dimensions = reader.unsigned(4);
  if (dimensions > MAX_DIMENSIONS)
    throw damagedGguf(file, `tensor ${JSON.stringify(name)} has ${dimensions} dimensions`);
  const sizes = Array.from({ length: dimensions }, () => reader.unsigned(8));
  return { name, sizes, type: reader.unsigned(4), offset: reader.unsigned(8) };
}

function text(reader: ByteReader): string {
  return reader.text(reader.unsigned(8));
}

const ARRAY = 9;

/** Readers of single values by the number of their type. */
const VALUES: Readonly<Record<number, (reader: ByteReader) => MetadataValue>> = {
  0: (reader) => reader.unsigned(1),
  1: (reader) => reader.integer(1),
  2: (reader) => reader.unsigned(2),
  3: (reader) => reader.integer(2),
  4: (reader) => reader.unsigned(4),
  5: (reader) => reader.int32(),
  6: (reader) => reader.float(4, true),
  7: (reader) => reader.unsigned(1) !== 0,
  8: text,
  10: (reader) => simplest(BigInt.asUintN(64, BigInt(reader.integer(8)))),
  11: (reader) => reader.integer(8),
  12: (reader) => reader.float(8, true),
};

function value(reader: ByteReader, type: number, name: string, depth: number): MetadataValue {
  if (type === ARRAY) return array(reader, name, depth);
  const read = VALUES[type];
  if (!read) throw damagedGguf(name, `a value has the unknown type ${type}`);
  return read(reader);
}

function array(reader: ByteReader, name: string, depth: number): MetadataValue[] {
  if (depth >= MAX_ARRAY_DEPTH) throw damagedGguf(name, "its arrays are nested too deep");
  const type = reader.unsigned(4);
  const length = reader.unsigned(8);
  reader.require(length); // an element has a byte at least
  const items: MetadataValue[] = [];
  for (let i = 0; i < length; i++) items.push(value(reader, type, name, depth + 1));
  return items;
}
