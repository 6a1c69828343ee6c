/**
 * Views of tensors that are not read yet: reshaped, transposed, cut, joined. A view is as lazy as what it
 * looks at, and knows where its bytes lie on disk as long as they lie there in one piece, so that a session
 * can take them from the file without a copy.
 */
import { invariant } from "../../errors.ts";
import { allocate, bytesPerElement, type DataOf, type DType } from "../../tensor/dtype.ts";
import { sizeOf, tensor } from "../../tensor/tensor.ts";
import type { Entry } from "../checkpoint.ts";
import { gatherStrided } from "../strided.ts";

/** The same elements under another shape of as many elements. */
export function reshapeEntry(entry: Entry, shape: readonly number[]): Entry {
  invariant(sizeOf(shape) === sizeOf(entry.shape), `reshape of [${entry.shape}] to [${shape}]`);
  return {
    ...entry,
    shape,
    read: async () => tensor(entry.dtype, shape, (await entry.read()).data),
  };
}

/** A run of rows of the first axis: `begin` … `end` − 1. */
export type Rows = readonly [begin: number, end: number];

/** The given runs of rows, one after the other: [n, …] → [rows, …]. One run keeps its place on disk. */
export function pickRows(entry: Entry, runs: readonly Rows[]): Entry {
  const [rows, ...rest] = entry.shape;
  for (const [begin, end] of runs)
    invariant(
      0 <= begin && begin <= end && end <= rows,
      `rows ${begin} to ${end} of [${entry.shape}]`,
    );
  const width = sizeOf(rest);
  const shape = [runs.reduce((sum, [begin, end]) => sum + end - begin, 0), ...rest];
  const rowBytes = width * bytesPerElement(entry.dtype);
  const [[first, last]] = runs;
  const location =
    entry.location && runs.length === 1
      ? {
          ...entry.location,
          offset: entry.location.offset + first * rowBytes,
          length: (last - first) * rowBytes,
        }
      : undefined;
  return {
    dtype: entry.dtype,
    shape,
    location,
    read: async () => {
      const { data } = await entry.read();
      const result = allocate(entry.dtype, sizeOf(shape));
      let at = 0;
      for (const [begin, end] of runs) {
        copyInto(result, data.subarray(begin * width, end * width), at);
        at += (end - begin) * width;
      }
      return tensor(entry.dtype, shape, result);
    },
  };
}

/** Entries one after the other along the first axis; all of one dtype and equal in the other axes. */
export function concatRows(entries: readonly Entry[]): Entry {
  const [first] = entries;
  if (entries.length === 1) return first;
  const rest = first.shape.slice(1);
  for (const { shape, dtype } of entries)
    invariant(
      dtype === first.dtype && String(shape.slice(1)) === String(rest),
      `rows of ${dtype} [${shape}] after ${first.dtype} [${first.shape}]`,
    );
  const shape = [entries.reduce((rows, entry) => rows + entry.shape[0], 0), ...rest];
  return {
    dtype: first.dtype,
    shape,
    read: async () => {
      const data = allocate(first.dtype, sizeOf(shape));
      let at = 0;
      for (const entry of entries) {
        const part = (await entry.read()).data;
        copyInto(data, part, at);
        at += part.length;
      }
      return tensor(first.dtype, shape, data);
    },
  };
}

/** A matrix turned over: [a, b] → [b, a]. */
export function transposeEntry(entry: Entry): Entry {
  invariant(entry.shape.length === 2, `transpose of [${entry.shape}]`);
  return permuteEntry(entry, [1, 0]);
}

/** Axes in another order: axis `i` of the result is axis `order[i]` of the entry. */
export function permuteEntry(entry: Entry, order: readonly number[]): Entry {
  const shape = order.map((axis) => entry.shape[axis]);
  const strides = order.map((axis) => sizeOf(entry.shape.slice(axis + 1)));
  return {
    dtype: entry.dtype,
    shape,
    read: async () => {
      const { data } = await entry.read();
      return tensor(entry.dtype, shape, gatherStrided(data, entry.dtype, shape, strides));
    },
  };
}

function copyInto<D extends DType>(target: DataOf<D>, source: DataOf<D>, at: number): void {
  (target as { set(values: unknown, at: number): void }).set(source, at);
}
