/** Counting what a set of tensors holds. */
import { bytesPerElement, type DType } from "../../tensor/dtype.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import type { Entries } from "../checkpoint.ts";

/** Totals over tensors. */
export interface Summary {
  readonly tensors: number;
  /** Elements of all tensors. */
  readonly parameters: number;
  /** Bytes in their element types; quantised tensors count as what they are read as. */
  readonly bytes: number;
  /** Elements by element type, or by block format where values are quantised. */
  readonly dtypes: Readonly<Record<string, number>>;
}

/** Totals over some tensors. */
export function summarise(entries: Entries): Summary {
  const dtypes: Record<string, number> = {};
  let [parameters, bytes] = [0, 0];
  const all = Object.values(entries);
  for (const { dtype, shape, quantization } of all) {
    const size = sizeOf(shape);
    const type: DType | string = quantization ?? dtype;
    parameters += size;
    bytes += size * bytesPerElement(dtype);
    dtypes[type] = (dtypes[type] ?? 0) + size;
  }
  return { tensors: all.length, parameters, bytes, dtypes };
}
