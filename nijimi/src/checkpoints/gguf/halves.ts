/** The float16 numbers that blocks carry. */
import { toFloat32 } from "../../tensor/convert.ts";
import { tensor } from "../../tensor/tensor.ts";

/** The float16 at byte `at` of each block of `stride` bytes, as float32. */
export function halves(
  blocks: Uint8Array,
  count: number,
  stride: number,
  at: number,
): Float32Array {
  const bits = new Uint16Array(count);
  for (let i = 0; i < count; i++)
    bits[i] = blocks[i * stride + at] | (blocks[i * stride + at + 1] << 8);
  return toFloat32(tensor("float16", [count], bits));
}
