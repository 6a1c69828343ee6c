/** Elements in another order than ours: strided views and swapped bytes. */
import { allocate, type DataOf, type DType } from "../tensor/dtype.ts";
import { sizeOf } from "../tensor/tensor.ts";

/** Copies the elements of a strided view in row-major order; strides are in elements. */
export function gatherStrided<D extends DType>(
  data: DataOf<D>,
  dtype: D,
  shape: readonly number[],
  strides: readonly number[],
): DataOf<D> {
  const result = allocate(dtype, sizeOf(shape));
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < result.length; to++) {
    result[to] = data[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= shape[axis] * strides[axis];
      index[axis] = 0;
    }
  }
  return result;
}

/** A copy with the bytes of every element reversed. */
export function swapBytes(bytes: Uint8Array, width: number): Uint8Array<ArrayBuffer> {
  const swapped = new Uint8Array(bytes.length);
  for (let start = 0; start < bytes.length; start += width)
    for (let i = 0; i < width; i++) swapped[start + i] = bytes[start + width - 1 - i];
  return swapped;
}
