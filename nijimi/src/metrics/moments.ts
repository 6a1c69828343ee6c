/**
 * Mean and covariance of feature vectors, streaming: what the Fréchet distance needs of an image set, in memory
 * that depends on the dimensions only.
 *
 * Sums and products are taken in float64 about a point near the mean, the mean of the first rows, so that nothing is
 * lost to cancellation.
 */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { mirrorUpper } from "./linear-algebra/mirror.ts";
import type { Floats } from "./linear-algebra/product.ts";
import {
  addRows,
  emptyScatter,
  multiplyOut,
  type Scatter,
  workOfAdding,
} from "./linear-algebra/scatter.ts";
import { type ProductOption, usingProduct } from "./linear-algebra/using-product.ts";
import { floatsOf, refuseNonFinite } from "./matrix.ts";
import type { StreamingMetric } from "./streaming.ts";

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
  /** Sums about the mean of the first rows; absent before those. */
  scatter?: Scatter;
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
  const settled = async ({ scatter }: MomentsState): Promise<Scatter> => {
    const sums = scatter ?? emptyScatter(new Float64Array(dimensions));
    const work = sums.filled * dimensions ** 2;
    await usingProduct(options, work, (product) => multiplyOut(sums, product));
    return sums;
  };
  return {
    start: () => ({ count: 0 }),
    add: async (state, batch) => {
      const [rows, columns] = batch.shape;
      if (batch.shape.length !== 2 || columns !== dimensions)
        throw new NijimiError(
          "shape",
          `features: got [${batch.shape}]; expected [N, ${dimensions}].`,
        );
      if (rows === 0) return state;
      const data = floatsOf(batch, "features");
      state.scatter ??= emptyScatter(meanOf(data, rows, dimensions));
      const { scatter } = state;
      await usingProduct(options, workOfAdding(scatter, rows), (product) =>
        addRows(scatter, data, rows, product),
      );
      if (!scatter.sums.every(Number.isFinite)) refuseNonFinite(data, dimensions, "features");
      state.count += rows;
      return state;
    },
    merge: async (a, b) => {
      if (b.count === 0) return a;
      if (a.count === 0) return b;
      moveInto(await settled(a), await settled(b), b.count);
      return { count: a.count + b.count, scatter: a.scatter };
    },
    finish: async (state) => {
      const { count } = state;
      if (count < 2)
        throw new NijimiError("shape", `A covariance needs at least 2 samples; got ${count}.`);
      const { centre, sums, products } = await settled(state);
      return {
        dimensions,
        count,
        mean: centre.map((c, j) => c + sums[j] / count),
        covariance: toCovariance(products, sums, count),
      };
    },
  };
}

function meanOf(data: Floats, rows: number, dimensions: number): Float64Array {
  const mean = new Float64Array(dimensions);
  for (let i = 0; i < rows; i++) {
    const row = i * dimensions;
    for (let j = 0; j < dimensions; j++) mean[j] += data[row + j];
  }
  return mean.map((sum) => sum / rows);
}

/**
 * Moves the second sums to the first one's centre and adds them: with δ = c₂ − c₁,
 * Σ (x − c₁)(x − c₁)ᵀ = Σ (x − c₂)(x − c₂)ᵀ + δ sᵀ + s δᵀ + n δ δᵀ.
 */
function moveInto(a: Scatter, b: Scatter, count: number): void {
  const dimensions = a.sums.length;
  const delta = b.centre.map((c, j) => c - a.centre[j]);
  for (let i = 0; i < dimensions; i++)
    for (let j = i; j < dimensions; j++)
      a.products[i * dimensions + j] +=
        b.products[i * dimensions + j] +
        delta[i] * b.sums[j] +
        b.sums[i] * delta[j] +
        count * delta[i] * delta[j];
  for (let j = 0; j < dimensions; j++) a.sums[j] += b.sums[j] + count * delta[j];
}

/** (P − s sᵀ / n) / (n − 1). */
function toCovariance(products: Float64Array, sums: Float64Array, count: number): Float64Array {
  const dimensions = sums.length;
  const covariance = new Float64Array(dimensions * dimensions);
  for (let i = 0; i < dimensions; i++) {
    const row = i * dimensions;
    const factor = sums[i] / count;
    for (let j = i; j < dimensions; j++)
      covariance[row + j] = (products[row + j] - factor * sums[j]) / (count - 1);
  }
  mirrorUpper(covariance, dimensions);
  return covariance;
}
