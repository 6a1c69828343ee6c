/** From the order in which NumPy may have written elements to dense, row-major, little-endian ones. */
import { bytesPerElement, type DType } from "../../tensor/dtype.ts";
import { sizeOf, tensor, type Tensor } from "../../tensor/tensor.ts";
import { tensorOfBytes } from "../checkpoint.ts";
import { gatherStrided, swapBytes } from "../strided.ts";
import type { ArrayType } from "./dtype.ts";

/** How the bytes of an array are ordered. */
export interface ArrayLayout extends ArrayType {
  readonly shape: readonly number[];
  /** Fortran's order: the first index runs fastest. */
  readonly columnMajor: boolean;
}

/** Bytes of an array. */
export function arrayBytes({ dtype, shape }: Pick<ArrayLayout, "dtype" | "shape">): number {
  return sizeOf(shape) * bytesPerElement(dtype);
}

/** True when the bytes can be used as they are. */
export function isPlain({ dtype, bigEndian, columnMajor, shape }: ArrayLayout): boolean {
  return !(bigEndian && bytesPerElement(dtype) > 1) && (!columnMajor || shape.length < 2);
}

/** The array as a tensor; memory is shared where the layout is ours already. */
export function tensorOfArray(layout: ArrayLayout, bytes: Uint8Array): Tensor {
  const { dtype, shape, bigEndian, columnMajor } = layout;
  const little = bigEndian ? swapBytes(bytes, bytesPerElement(dtype)) : bytes;
  const stored = tensorOfBytes(dtype, shape, little);
  if (!columnMajor || shape.length < 2) return stored;
  return tensor<DType>(
    dtype,
    shape,
    gatherStrided(stored.data, dtype, shape, columnMajorStrides(shape)),
  );
}

function columnMajorStrides(shape: readonly number[]): number[] {
  let step = 1;
  return shape.map((size) => {
    const stride = step;
    step *= size;
    return stride;
  });
}
