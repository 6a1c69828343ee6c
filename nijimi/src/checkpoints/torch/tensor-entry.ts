/** Tensors of a pickle as entries: strided views of storages become dense. */
import { NijimiError } from "../../errors.ts";
import { bytesPerElement } from "../../tensor/dtype.ts";
import { sizeOf, tensor } from "../../tensor/tensor.ts";
import { tensorOfBytes, type Entry } from "../checkpoint.ts";
import type { StorageRef, TensorRef } from "../pickle/values.ts";
import { gatherStrided, swapBytes } from "../strided.ts";

/** The storages of a checkpoint. */
export interface StorageReader {
  /** Bytes that are there for a storage. @throws NijimiError `format` when there is no such storage */
  size(storage: StorageRef): number;
  /** Reads bytes of a storage. */
  read(storage: StorageRef, offset: number, length: number): Promise<Uint8Array>;
  /** Where a storage's bytes lie on disk, if they lie there plainly. */
  locate?(storage: StorageRef): { readonly file: string; readonly offset: number } | undefined;
  /** True when elements have their high byte first. */
  readonly bigEndian: boolean;
}

/** A view may be larger than its storage (an expanded tensor), up to this many bytes. */
const MAX_EXPANDED_BYTES = 2 ** 26;

/**
 * The entry for a tensor of a pickle.
 *
 * @param name for messages
 * @throws NijimiError `format` when the tensor reaches beyond its storage
 */
export function stridedEntry(ref: TensorRef, storages: StorageReader, name: string): Entry {
  const { dtype, shape, storage } = ref;
  const width = bytesPerElement(dtype);
  const span = spanOf(ref);
  checkInside(ref, span, storages.size(storage), name);
  const offset = (storage.start + ref.offset) * width;
  const dense = isDense(ref);
  const place = dense && !swaps(storages, width) ? storages.locate?.(storage) : undefined;
  return {
    dtype,
    shape,
    location: place && { file: place.file, offset: place.offset + offset, length: span * width },
    read: async () => {
      const bytes = await storages.read(storage, offset, span * width);
      const data = tensorOfBytes(
        dtype,
        [span],
        swaps(storages, width) ? swapBytes(bytes, width) : bytes,
      ).data;
      return tensor(dtype, shape, dense ? data : gatherStrided(data, dtype, shape, ref.strides));
    },
  };
}

function swaps({ bigEndian }: StorageReader, width: number): boolean {
  return bigEndian && width > 1;
}

/** Elements from the first to the last that a view touches. */
function spanOf({ shape, strides }: TensorRef): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((span, size, axis) => span + (size - 1) * strides[axis], 1);
}

function checkInside(ref: TensorRef, span: number, bytes: number, name: string): void {
  const { storage, dtype, shape, strides, offset } = ref;
  const width = bytesPerElement(dtype);
  const claimed = storage.dtype === undefined ? storage.count / width : storage.count;
  const there = Math.min(claimed, bytes / width - storage.start);
  // Not "greater than": sums beyond 2^53 are inexact, products may even be NaN.
  if (!(offset + span <= there) && span > 0)
    throw new NijimiError(
      "format",
      `${name} is a view [${shape}] with strides [${strides}] at ${offset} of a storage that has ${Math.max(0, Math.floor(there))} elements; the file is cut short or damaged.`,
    );
  const size = sizeOf(shape) * width;
  if (!(size <= Math.max(bytes, MAX_EXPANDED_BYTES)))
    throw new NijimiError(
      "format",
      `${name} is expanded from ${bytes} bytes to the shape [${shape}]; that large it is not read.`,
    );
}

/** True when elements follow one another in row-major order. */
function isDense({ shape, strides }: TensorRef): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}
