/**
 * NumPy's `.npy` (numpy/lib/format.py, versions 1 to 3): magic, a Python dict literal with type, order
 * and shape, and the elements.
 */
import { NijimiError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { rawEntry, ROOT_NAME, type Checkpoint, type Entry } from "../checkpoint.ts";
import type { ByteSource } from "../files/byte-source.ts";
import { parseArrayType } from "./dtype.ts";
import { arrayBytes, isPlain, tensorOfArray, type ArrayLayout } from "./layout.ts";

const MAGIC_BYTES = 6;
const PREFIX_BYTES = 12;
const MAX_HEADER_BYTES = 65_536;

/** Enough of a file's beginning for {@link parseNpyHeader}, unless it is unusual. */
export const NPY_START_BYTES = 256;

/** What a header says. */
export interface NpyHeader extends ArrayLayout {
  /** Where the elements begin. */
  readonly dataOffset: number;
}

/** Opens an `.npy` file; its array is called {@link ROOT_NAME}. */
export async function openNpy(source: ByteSource): Promise<Checkpoint> {
  const { name, size } = source;
  const header = await readNpyHeader((length) => source.read(0, length), size, name);
  const entry = npyEntry(header, source);
  return {
    format: "npy",
    name,
    metadata: {},
    entries: { [ROOT_NAME]: entry },
    close: () => source.close(),
  };
}

/**
 * Reads an `.npy` file that is in memory; elements share memory where their layout allows it.
 *
 * @example
 * const anchors = parseNpy(await readFile("rating0.npy"));
 */
export function parseNpy(bytes: Uint8Array, name = ".npy file"): Tensor {
  const needed = npyHeaderBytes(bytes, name);
  if (needed > bytes.length) throw damaged(name, "it ends inside its header");
  const header = parseNpyHeader(bytes, bytes.length, name);
  return tensorOfArray(header, bytes.subarray(header.dataOffset));
}

/** Reads the header through `read`, which gives the first bytes of a file of `size` bytes. */
export async function readNpyHeader(
  read: (length: number) => Promise<Uint8Array>,
  size: number,
  name: string,
): Promise<NpyHeader> {
  const start = await read(Math.min(size, NPY_START_BYTES));
  const needed = npyHeaderBytes(start, name);
  if (needed > size) throw damaged(name, "it ends inside its header");
  return parseNpyHeader(needed <= start.length ? start : await read(needed), size, name);
}

/** Bytes up to the first element. */
function npyHeaderBytes(start: Uint8Array, name: string): number {
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  if (start.length < PREFIX_BYTES || !magic.every((byte, i) => start[i] === byte))
    throw damaged(name, "it does not begin with NumPy's magic");
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const version = start[MAGIC_BYTES];
  if (version < 1 || version > 3)
    throw damaged(name, `its version is ${version}; 1 to 3 are known`);
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER_BYTES)
    throw damaged(name, `its header has ${length} bytes, at most ${MAX_HEADER_BYTES} are read`);
  return (version === 1 ? 10 : 12) + length;
}

/** @param start the whole header at least */
function parseNpyHeader(start: Uint8Array, size: number, name: string): NpyHeader {
  const dataOffset = npyHeaderBytes(start, name);
  const text = new TextDecoder("latin1").decode(
    start.subarray(start[MAGIC_BYTES] === 1 ? 10 : 12, dataOffset),
  );
  const layout = parseDescription(text, name);
  const expected = arrayBytes(layout);
  if (expected !== size - dataOffset)
    throw damaged(
      name,
      `it has ${size - dataOffset} bytes of elements; its shape [${layout.shape}] and dtype ${layout.dtype} need ${expected}`,
    );
  return { ...layout, dataOffset };
}

const DESCRIPTION = /^\s*\{(.*)\}\s*$/s;
const MEMBER =
  /\s*'(descr|fortran_order|shape)'\s*:\s*('[^'\\]*'|True|False|\([\d\s,L]*\)|\[.*\])\s*(?:,|$)/sy;

/** The dict literal: exactly the three keys that NumPy writes. */
function parseDescription(text: string, name: string): ArrayLayout {
  const inner = DESCRIPTION.exec(text)?.[1];
  if (inner === undefined) throw damaged(name, "its header is not a dict");
  const members = parseMembers(inner.trimEnd(), name);
  const { descr, fortran_order: order, shape } = members;
  if (descr?.startsWith("["))
    throw new NijimiError(
      "unsupported",
      `${name} holds records (a structured array); only arrays of numbers are read.`,
    );
  if (!descr?.startsWith("'") || !/^(True|False)$/.test(order ?? "") || !shape?.startsWith("("))
    throw damaged(name, "its header lacks descr, fortran_order or shape");
  return {
    ...parseArrayType(descr.slice(1, -1), name),
    columnMajor: order === "True",
    shape: parseShape(shape, name),
  };
}

function parseMembers(inner: string, name: string): Partial<Record<string, string>> {
  const members: Partial<Record<string, string>> = Object.create(null);
  for (MEMBER.lastIndex = 0; MEMBER.lastIndex < inner.length;) {
    const found = MEMBER.exec(inner);
    if (!found || found[1] in members) throw damaged(name, "its header is not what NumPy writes");
    members[found[1]] = found[2];
  }
  return members;
}

/** `(2, 3)`, `(5,)`, `()`; Python 2 wrote `5L`. */
function parseShape(text: string, name: string): number[] {
  const items = text
    .slice(1, -1)
    .replace(/,\s*$/, "")
    .split(",")
    .map((item) => item.trim());
  if (items.length === 1 && items[0] === "") return [];
  if (items.length > 64 || !items.every((item) => /^\d+L?$/.test(item)))
    throw damaged(name, `its shape is ${text.slice(0, 80)}`);
  return items.map((item) => Number.parseInt(item, 10));
}

/** The entry for an array whose elements lie in `source`, which holds nothing else. */
function npyEntry(header: NpyHeader, source: ByteSource): Entry {
  const { dtype, shape, dataOffset } = header;
  const length = arrayBytes(header);
  if (isPlain(header)) return rawEntry(source, { dtype, shape, offset: dataOffset, length });
  return {
    dtype,
    shape,
    read: async () => tensorOfArray(header, await source.read(dataOffset, length)),
  };
}

function damaged(name: string, problem: string): NijimiError {
  return new NijimiError("format", `${name} is not a valid .npy file: ${problem}.`);
}
