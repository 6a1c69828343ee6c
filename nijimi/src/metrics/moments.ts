/**
 * Mean and covariance of feature vectors, streaming: what the Fréchet distance needs of an image set, in memory
 * that depends on the dimensions only.
 *
 * Rows are gathered into chunks; each chunk is centred on its own mean and multiplied out in float64, and its
 * moments are merged by the pairwise update of Chan, Golub & LeVeque (1979), which loses nothing to cancellation.
 */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Product } from "./linear-algebra/product.ts";
import { type ProductOption, usingProduct } from "./linear-algebra/using-product.ts";
import { matrixOf } from "./matrix.ts";
import type { StreamingMetric } from "./streaming.ts";

/** Rows of a chunk: enough for the product to run at full speed. */
const CHUNK = 2048;
/** Side of the covariance's blocks; only those on and below the diagonal are computed. */
const BLOCK = 512;

/** A Gaussian fitted to feature vectors. */
export interface GaussianStatistics {
  readonly dimensions: number;
  /** [D] */
  readonly mean: Float64Array;
  /** [D, D], divided by N − 1 as np.cov does. */
  readonly covariance: Float64Array;
  /** Number of samples, where known: statistics files do not say. */
  readonly count?: number;
}

/** State of {@link moments}. */
export interface MomentsState {
  count: number;
  /** [D] of the rows counted. */
  mean: Float64Array;
  /** [D, D]: Σ (x − mean)(x − mean)ᵀ, on and below the diagonal. */
  scatter: Float64Array;
  /** Rows not counted yet. */
  waiting: Rows[];
}

interface Rows {
  readonly rows: number;
  readonly data: Float32Array | Float64Array;
}

/**
 * Mean and covariance of batches [N, D].
 *
 * @example
 * const inception = await measure(moments(2048), featureBatches);
 */
export function moments(
  dimensions: number,
  options: ProductOption = {},
): StreamingMetric<Tensor, MomentsState, GaussianStatistics> {
  const settle = async (state: MomentsState): Promise<MomentsState> => {
    const parts = state.waiting;
    state.waiting = [];
    if (parts.length > 0)
      await usingProduct(options, waitingRows({ waiting: parts }) * dimensions ** 2, (product) =>
        countIn(state, parts, product),
      );
    return state;
  };
  return {
    start: () => empty(dimensions),
    add: async (state, batch) => {
      const { rows, columns, data } = matrixOf(batch, "features");
      if (columns !== dimensions)
        throw new NijimiError(
          "shape",
          `features: got ${columns} dimensions; expected ${dimensions}.`,
        );
      state.waiting.push({ rows, data: data.slice() });
      return waitingRows(state) < CHUNK ? state : settle(state);
    },
    merge: async (a, b) => mergeMoments(await settle(a), await settle(b)),
    finish: async (state) => {
      const { count, mean, scatter } = await settle(state);
      if (count < 2)
        throw new NijimiError("shape", `A covariance needs at least 2 samples; got ${count}.`);
      return {
        dimensions,
        count,
        mean: mean.slice(),
        covariance: toCovariance(scatter, dimensions, count),
      };
    },
  };
}

function empty(dimensions: number): MomentsState {
  return {
    count: 0,
    mean: new Float64Array(dimensions),
    scatter: new Float64Array(dimensions * dimensions),
    waiting: [],
  };
}

function waitingRows({ waiting }: Pick<MomentsState, "waiting">): number {
  return waiting.reduce((sum, { rows }) => sum + rows, 0);
}

/**
 * Counts some rows in: S += Σ (x − m)(x − m)ᵀ + δ δᵀ n₁ n₂ / (n₁ + n₂), where m is the rows' own mean and δ its
 * difference from the mean so far.
 */
async function countIn(
  state: MomentsState,
  parts: readonly Rows[],
  product: Product,
): Promise<void> {
  const dimensions = state.mean.length;
  const count = parts.reduce((sum, { rows }) => sum + rows, 0);
  const mean = meanOf(parts, count, dimensions);
  const columns = centredColumns(parts, count, mean);
  const { delta, weight } = difference(state, { count, mean });
  const { scatter } = state;
  for (let i0 = 0; i0 < dimensions; i0 += BLOCK)
    for (let j0 = 0; j0 <= i0; j0 += BLOCK) {
      const [iEnd, jEnd] = [Math.min(i0 + BLOCK, dimensions), Math.min(j0 + BLOCK, dimensions)];
      const above = columns.subarray(i0 * count, iEnd * count);
      const beside = columns.subarray(j0 * count, jEnd * count);
      const block = await product(above, beside, iEnd - i0, count, jEnd - j0);
      let at = 0;
      for (let i = i0; i < iEnd; i++) {
        const factor = weight * delta[i];
        for (let j = j0; j < jEnd; j++)
          scatter[i * dimensions + j] += block[at++] + factor * delta[j];
      }
    }
  shiftMean(state, count, delta);
}

function meanOf(parts: readonly Rows[], count: number, dimensions: number): Float64Array {
  const mean = new Float64Array(dimensions);
  for (const { rows, data } of parts)
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < dimensions; j++) mean[j] += data[i * dimensions + j];
  return mean.map((sum) => sum / count);
}

/** The rows minus the mean, transposed to [D, count] tile by tile. */
function centredColumns(parts: readonly Rows[], count: number, mean: Float64Array): Float64Array {
  const TILE = 16;
  const dimensions = mean.length;
  const out = new Float64Array(dimensions * count);
  let start = 0;
  for (const { rows, data } of parts) {
    for (let i0 = 0; i0 < rows; i0 += TILE) {
      const iEnd = Math.min(i0 + TILE, rows);
      for (let j = 0; j < dimensions; j++) {
        const centre = mean[j];
        const to = j * count + start;
        for (let i = i0; i < iEnd; i++) out[to + i] = data[i * dimensions + j] - centre;
      }
    }
    start += rows;
  }
  return out;
}

/** Merges two states without waiting rows. Changes and returns `a`. */
function mergeMoments(a: MomentsState, b: MomentsState): MomentsState {
  const { delta, weight } = difference(a, b);
  const [into, from, dimensions] = [a.scatter, b.scatter, a.mean.length];
  for (let i = 0; i < dimensions; i++) {
    const row = i * dimensions;
    const factor = weight * delta[i];
    for (let j = 0; j <= i; j++) into[row + j] += from[row + j] + factor * delta[j];
  }
  shiftMean(a, b.count, delta);
  return a;
}

interface CountedMean {
  readonly count: number;
  readonly mean: Float64Array;
}

function difference(a: CountedMean, b: CountedMean): { delta: Float64Array; weight: number } {
  const count = a.count + b.count;
  return {
    delta: b.mean.map((value, j) => value - a.mean[j]),
    weight: count === 0 ? 0 : (a.count * b.count) / count,
  };
}

function shiftMean(state: MomentsState, count: number, delta: Float64Array): void {
  state.count += count;
  if (count > 0)
    for (let j = 0; j < delta.length; j++) state.mean[j] += (delta[j] * count) / state.count;
}

function toCovariance(scatter: Float64Array, dimensions: number, count: number): Float64Array {
  const covariance = new Float64Array(dimensions * dimensions);
  const TILE = 32; // mirrored tile by tile, for the cache's sake
  for (let i0 = 0; i0 < dimensions; i0 += TILE)
    for (let j0 = 0; j0 <= i0; j0 += TILE) {
      const iEnd = Math.min(i0 + TILE, dimensions);
      for (let i = i0; i < iEnd; i++) {
        const jEnd = Math.min(j0 + TILE, i + 1);
        for (let j = j0; j < jEnd; j++) {
          const value = scatter[i * dimensions + j] / (count - 1);
          covariance[i * dimensions + j] = value;
          covariance[j * dimensions + i] = value;
        }
      }
    }
  return covariance;
}
