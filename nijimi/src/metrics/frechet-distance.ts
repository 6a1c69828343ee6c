/**
 * Fréchet distance of two Gaussians (Dowson & Landau 1982; Heusel et al. 2017, arXiv 1706.08500, for FID):
 * |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 √(Σ₁Σ₂)).
 *
 * Differs from the SciPy-based tools in never forming √(Σ₁Σ₂): its trace comes from the eigenvalues of a symmetric
 * matrix, exact also for covariances of fewer samples than dimensions, where those tools add an offset or fail.
 */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { traceSqrtProduct } from "./linear-algebra/trace-sqrt-product.ts";
import { type ProductOption, usingProduct } from "./linear-algebra/using-product.ts";
import { type GaussianStatistics, moments } from "./moments.ts";
import { measure } from "./streaming.ts";

/**
 * The Fréchet distance of two sets of statistics. Rounding may make it slightly negative for equal sets.
 *
 * The name of the figure is the caller's business: it is an FID only for features of the FID Inception network.
 *
 * @throws NijimiError `shape` when the dimensions differ, `numeric` for NaN
 * @example
 * const fid = await frechetDistance(await measure(moments(2048), generated), reference);
 */
export async function frechetDistance(
  a: GaussianStatistics,
  b: GaussianStatistics,
  options: ProductOption = {},
): Promise<number> {
  const n = a.dimensions;
  if (b.dimensions !== n)
    throw new NijimiError(
      "shape",
      `The statistics have ${n} and ${b.dimensions} dimensions; expected features of the same network and layer.`,
    );
  // tr √(Σ₁Σ₂) is symmetric; the one with fewer samples has the lower rank and makes the smaller problem.
  const [small, large] = (b.count ?? Infinity) < (a.count ?? Infinity) ? [b, a] : [a, b];
  const coupling = await usingProduct(options, 4 * n ** 3, (product) =>
    traceSqrtProduct(small.covariance, large.covariance, n, product),
  );
  const shift = a.mean.reduce((sum, value, i) => sum + (value - b.mean[i]) ** 2, 0);
  const distance = shift + trace(a.covariance, n) + trace(b.covariance, n) - 2 * coupling;
  if (!Number.isFinite(distance))
    throw new NijimiError(
      "numeric",
      "The statistics hold NaN or infinity; expected means and covariances.",
    );
  return distance;
}

/** {@link frechetDistance} of two feature sets [N, D] and [M, D] that are in memory. */
export async function frechetDistanceOfFeatures(
  a: Tensor,
  b: Tensor,
  options: ProductOption = {},
): Promise<number> {
  const first = await measure(moments(a.shape[1], options), [a]);
  const second = await measure(moments(b.shape[1], options), [b]);
  return frechetDistance(first, second, options);
}

function trace(matrix: Float64Array, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += matrix[i * (n + 1)];
  return sum;
}
