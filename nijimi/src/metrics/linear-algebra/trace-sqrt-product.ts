/**
 * tr √(A B) of two covariances: the coupling term of the Fréchet distance.
 *
 * With A = Uᵀ U, the non-zero eigenvalues of A B are those of U B Uᵀ, which is symmetric and as large as A's rank:
 * no square root of a non-symmetric matrix, no complex numbers, no offset on the diagonal for singular products.
 */
import { semidefiniteCholesky } from "./semidefinite-cholesky.ts";
import type { Product } from "./product.ts";
import { symmetricEigenvalues } from "./symmetric-eigenvalues.ts";

/**
 * Sum of the square roots of A B's eigenvalues; those that rounding made negative count as zero.
 *
 * @param a [n, n], positive semi-definite
 * @param b [n, n], positive semi-definite
 */
export async function traceSqrtProduct(
  a: Float64Array,
  b: Float64Array,
  n: number,
  product: Product,
): Promise<number> {
  const { rank, rows } = await semidefiniteCholesky(a, n, product);
  if (rank === 0) return 0;
  const half = await product(rows, b, rank, n, n); // U Bᵀ = U B
  const coupled = await product(half, rows, rank, n, rank); // U B Uᵀ
  const eigenvalues = await symmetricEigenvalues(coupled, rank, product);
  return eigenvalues.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
}
