/** Numbers per sample of a batch [B, …] that guidance needs. */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";

type F32 = Tensor<"float32">;

/** Σ a·b over each sample. */
export function dotPerSample(a: F32, b: F32): number[] {
  return perSample(a, (from, to) => {
    let sum = 0;
    for (let i = from; i < to; i++) sum += a.data[i] * b.data[i];
    return sum;
  });
}

/** Standard deviation of each sample, with n − 1 as torch's `std`. */
export function stdPerSample(x: F32): number[] {
  return perSample(x, (from, to) => {
    let mean = 0;
    for (let i = from; i < to; i++) mean += x.data[i] / (to - from);
    let squares = 0;
    for (let i = from; i < to; i++) squares += (x.data[i] - mean) ** 2;
    return Math.sqrt(squares / (to - from - 1));
  });
}

/** x with every sample multiplied by its number, plus y with every sample multiplied by its own. */
export function combinePerSample(
  x: F32,
  xFactors: readonly number[],
  y: F32,
  yFactors: readonly number[],
): F32 {
  const data = new Float32Array(x.data.length);
  const size = data.length / xFactors.length;
  xFactors.forEach((factor, b) => {
    for (let i = b * size; i < (b + 1) * size; i++)
      data[i] = factor * x.data[i] + yFactors[b] * y.data[i];
  });
  return { ...x, data };
}

/** Refuses tensors of different shapes. */
export function checkSameShape(where: string, a: F32, b: F32): void {
  if (a.shape.length === b.shape.length && a.shape.every((dim, axis) => dim === b.shape[axis]))
    return;
  throw new NijimiError(
    "shape",
    `${where}: predictions must have one shape; got [${a.shape}] and [${b.shape}].`,
  );
}

function perSample({ shape, data }: F32, value: (from: number, to: number) => number): number[] {
  const size = data.length / shape[0];
  return Array.from({ length: shape[0] }, (_, b) => value(b * size, (b + 1) * size));
}
