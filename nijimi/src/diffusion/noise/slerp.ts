/**
 * Spherical interpolation between two noises, so that the result is noise again (Shoemake 1985;
 * Stable Diffusion's variation seeds). As A1111 has it: angles are those of the vectors along the
 * second axis, and nearly parallel noises are mixed linearly, with the weights the wrong way round.
 */
import { NijimiError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/** Mean cosine above which noises count as parallel. */
const PARALLEL = 0.9995;

/**
 * `low` at 0, `high` at 1.
 *
 * @param low noise of at least two axes
 * @param high of the same shape
 */
export function slerp(
  weight: number,
  low: Tensor<"float32">,
  high: Tensor<"float32">,
): Tensor<"float32"> {
  const { shape } = low;
  if (
    shape.length < 2 ||
    high.shape.length !== shape.length ||
    high.shape.some((dim, i) => dim !== shape[i])
  )
    throw new NijimiError(
      "shape",
      `slerp: two noises of one shape with two axes or more are needed; got [${shape}] and [${high.shape}].`,
    );
  if (!Number.isFinite(weight))
    throw new NijimiError("option", `slerp: the weight must be a number; got ${weight}.`);
  const [outer, length] = shape;
  const inner = low.data.length / (outer * length);
  const cosines = Float64Array.from({ length: outer * inner }, (_, v) =>
    cosine(low.data, high.data, vector(v, length, inner)),
  );
  const data = new Float32Array(low.data.length);
  if (cosines.reduce((sum, c) => sum + c, 0) / cosines.length > PARALLEL) {
    for (let i = 0; i < data.length; i++)
      data[i] = weight * low.data[i] + (1 - weight) * high.data[i];
    return { dtype: "float32", shape, data };
  }
  cosines.forEach((c, v) => {
    const omega = Math.acos(c);
    const [a, b] = [
      Math.sin((1 - weight) * omega) / Math.sin(omega),
      Math.sin(weight * omega) / Math.sin(omega),
    ];
    for (const i of vector(v, length, inner)) data[i] = a * low.data[i] + b * high.data[i];
  });
  return { dtype: "float32", shape, data };
}

/** Indices of the v-th vector along the second axis. */
function vector(v: number, length: number, inner: number): number[] {
  const start = Math.floor(v / inner) * length * inner + (v % inner);
  return Array.from({ length }, (_, k) => start + k * inner);
}

function cosine(a: Float32Array, b: Float32Array, indices: readonly number[]): number {
  let dot = 0;
  let squaresA = 0;
  let squaresB = 0;
  for (const i of indices) {
    dot += a[i] * b[i];
    squaresA += a[i] * a[i];
    squaresB += b[i] * b[i];
  }
  return dot / Math.sqrt(squaresA * squaresB);
}
