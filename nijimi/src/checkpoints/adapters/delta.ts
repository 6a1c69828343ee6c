/**
 * What an adapter adds to one parameter, in the one form that all kinds of adapters are read into:
 * W' = W + strength · scale · ΔW, with ΔW = up · down or a full tensor.
 *
 * LoRA (arXiv:2106.09685); its convolutional form with a k×k core between 1×1 factors (LoCon's CP
 * decomposition); LoHa and LoKr (arXiv:2108.06098, 2309.14859) are products that no pair of factors can hold
 * and become full tensors. DoRA (arXiv:2402.09353) rescales every row of W' to a learned length.
 */
import { invariant } from "../../errors.ts";
import { cast, toFloat32 } from "../../tensor/convert.ts";
import { sizeOf, tensor, type Tensor } from "../../tensor/tensor.ts";
import type { Entry } from "../checkpoint.ts";

interface Common {
  /** Width of the decomposition; undefined where there is none. */
  readonly rank?: number;
  /** As in the file; the rank where the file does not say. */
  readonly alpha?: number;
  /** What ΔW is multiplied by beside the user's strength: alpha / rank. */
  readonly scale: number;
  /** DoRA's lengths of the rows of W': [out, 1, …], or of its columns: [1, in, …]. */
  readonly magnitude?: Entry;
}

/** ΔW = up · down, or up · mid · down. */
export interface LowRankDelta extends Common {
  readonly kind: "low-rank";
  readonly rank: number;
  readonly alpha: number;
  /** [rank, in] or [rank, in, kh, kw]; with a core [rank, in, 1, 1]. */
  readonly down: Entry;
  /** [out, rank] or [out, rank, 1, 1]. */
  readonly up: Entry;
  /** The core: [rank, rank, kh, kw]. */
  readonly mid?: Entry;
}

/** ΔW as a tensor of the parameter's shape, computed when asked for. */
export interface FullDelta extends Common {
  readonly kind: "full";
  /** ΔW without scale, as float32. */
  read(): Promise<Tensor<"float32">>;
}

/** See the file's header. */
export type WeightDelta = LowRankDelta | FullDelta;

/** Whether a low-rank delta fits a parameter of the given shape. */
export function fits({ down, up, mid }: LowRankDelta, shape: readonly number[]): boolean {
  const kernel = mid ? mid.shape.slice(2) : down.shape.slice(2);
  const inputs = down.shape[1] * sizeOf(kernel);
  const core = mid
    ? mid.shape[0] === up.shape[1] && mid.shape[1] === down.shape[0]
    : up.shape[1] === down.shape[0];
  return (
    core &&
    sizeOf(up.shape.slice(2)) === 1 &&
    up.shape[0] === shape[0] &&
    inputs === sizeOf(shape.slice(1))
  );
}

/**
 * scale · ΔW in the shape of its parameter.
 *
 * @param shape of the parameter
 */
export async function readDelta(
  delta: WeightDelta,
  shape: readonly number[],
): Promise<Tensor<"float32">> {
  const raw = delta.kind === "full" ? await delta.read() : await multiplyFactors(delta);
  invariant(sizeOf(raw.shape) === sizeOf(shape), `delta [${raw.shape}] for a parameter [${shape}]`);
  return tensor(
    "float32",
    shape,
    raw.data.map((value) => value * delta.scale),
  );
}

async function multiplyFactors({ down, up, mid }: LowRankDelta): Promise<Tensor<"float32">> {
  const [out, rank] = up.shape;
  const [a, b] = [toFloat32(await up.read()), toFloat32(await down.read())];
  if (!mid) {
    const inputs = sizeOf(down.shape.slice(1));
    return tensor("float32", [out, inputs], matmul(a, b, out, rank, inputs));
  }
  // ΔW[o, i, k] = Σ_p Σ_q up[o, p] mid[p, q, k] down[q, i]
  return core(await mid.read(), up, a, down, b);
}

/** up [o, p] · mid [p, q, …k] · down [q, i] → [o, i, …k]. */
function core(
  mid: Tensor,
  up: Entry,
  a: Float32Array,
  down: Entry,
  b: Float32Array,
): Tensor<"float32"> {
  const [p, q, ...kernel] = mid.shape;
  const taps = sizeOf(kernel);
  const [outputs, inputs] = [up.shape[0], down.shape[1]];
  const values = toFloat32(mid);
  const result = new Float32Array(outputs * inputs * taps);
  for (let k = 0; k < taps; k++) {
    const slice = Float32Array.from({ length: p * q }, (_, n) => values[n * taps + k]);
    const product = matmul(matmul(a, slice, outputs, p, q), b, outputs, q, inputs);
    product.forEach((value, n) => (result[n * taps + k] = value));
  }
  return tensor("float32", [outputs, inputs, ...kernel], result);
}

/** [n, k] · [k, m] → [n, m], summed in float64. */
export function matmul(
  a: Float32Array,
  b: Float32Array,
  n: number,
  k: number,
  m: number,
): Float32Array {
  const result = new Float32Array(n * m);
  const row = new Float64Array(m);
  for (let i = 0; i < n; i++) {
    row.fill(0);
    for (let l = 0; l < k; l++) {
      const factor = a[i * k + l];
      for (let j = 0; j < m; j++) row[j] += factor * b[l * m + j];
    }
    result.set(row, i * m);
  }
  return result;
}

/** A delta and how strongly it is meant. */
export interface WeightedDelta {
  readonly delta: WeightDelta;
  readonly strength: number;
}

/**
 * A parameter with adapters merged into it, in the parameter's element type.
 *
 * @example
 * const merged = await mergeDeltas(await entry.read(), [{ delta, strength: 0.8 }]);
 */
export async function mergeDeltas(base: Tensor, deltas: readonly WeightedDelta[]): Promise<Tensor> {
  let values = Float32Array.from(toFloat32(base));
  for (const { delta, strength } of deltas) {
    const added = (await readDelta(delta, base.shape)).data;
    values = delta.magnitude
      ? rescaled(values, added, toFloat32(await delta.magnitude.read()), base.shape, strength)
      : values.map((value, i) => value + strength * added[i]);
  }
  return cast(tensor("float32", base.shape, values), base.dtype);
}

/** W + strength · (m ∘ (W + Δ) / ‖W + Δ‖ − W), with lengths taken row by row, or column by column. */
function rescaled(
  base: Float32Array,
  added: Float32Array,
  magnitude: Float32Array,
  shape: readonly number[],
  strength: number,
): Float32Array<ArrayBuffer> {
  const [rows, columns] = [shape[0], shape[1] ?? 1];
  const taps = sizeOf(shape.slice(2));
  const byRow = magnitude.length === rows;
  const groupOf = (i: number) =>
    byRow ? Math.floor(i / (columns * taps)) : Math.floor(i / taps) % columns;
  const squares = new Float64Array(magnitude.length);
  base.forEach((value, i) => (squares[groupOf(i)] += (value + added[i]) ** 2));
  return Float32Array.from(base, (value, i) => {
    const group = groupOf(i);
    const target = ((value + added[i]) * magnitude[group]) / Math.sqrt(squares[group]);
    return value + strength * (target - value);
  });
}
