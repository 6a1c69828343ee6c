/**
 * Weights that are not stored but made by a formula: every tensor is a hash of its place in the sorted list of names
 * and of the element's place in the tensor, scaled to what such a layer usually holds.
 */
import { float32, sizeOf, type Tensor } from "nijimi/tensor";

/**
 * Weights for the given names and shapes, as the cases' notes describe them.
 *
 * @param k0 number of the first name
 */
export function formulaWeights(
  shapes: Readonly<Record<string, readonly number[]>>,
  k0: number,
): Record<string, Tensor> {
  const byCodePoint = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  const names = Object.keys(shapes).sort(byCodePoint);
  return Object.fromEntries(
    names.map((name, i) => [name, float32(shapes[name], values(name, shapes[name], k0 + i))]),
  );
}

function values(name: string, shape: readonly number[], k: number): Float32Array {
  const scale = scaleOf(name, shape);
  return Float32Array.from({ length: sizeOf(shape) }, (_, j) => scale(uniform(j, k)));
}

/** Uniform on [0, 1). */
function uniform(j: number, k: number): number {
  let h = (j + Math.imul(0x9e3779b9, k)) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}

function scaleOf(name: string, shape: readonly number[]): (u: number) => number {
  if (/^lin\d+\./.test(name)) return (u) => u / shape[1];
  if (shape.length >= 2) {
    const bound = Math.sqrt(6 / sizeOf(shape.slice(1)));
    return (u) => (2 * u - 1) * bound;
  }
  if (name.endsWith("running_var")) return (u) => 1 + 0.2 * u;
  if (name.endsWith("bn.weight")) return (u) => 1 + 0.1 * (2 * u - 1);
  return (u) => 0.1 * (2 * u - 1);
}
