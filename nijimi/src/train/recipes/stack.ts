/** Batches from samples. */
import { sizeOf, tensor, type Tensor } from "../../tensor/tensor.ts";

/** Tensors of one shape along a new first axis. */
export function stack(parts: readonly Tensor<"float32">[]): Tensor<"float32"> {
  const [{ shape }] = parts;
  const size = sizeOf(shape);
  const data = new Float32Array(parts.length * size);
  parts.forEach((part, i) => data.set(part.data, i * size));
  return tensor("float32", [parts.length, ...shape], data);
}
