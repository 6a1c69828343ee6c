/** Eigenvalues of symmetric matrices of some thousand rows, without vectors. */
import type { Product } from "./product.ts";
import { tridiagonalEigenvalues } from "./tridiagonal-eigenvalues.ts";
import { tridiagonalise } from "./tridiagonalise.ts";

/**
 * All eigenvalues in ascending order, each to about ε·‖A‖.
 *
 * @param matrix [n, n], symmetric, both triangles; left as it is
 */
export async function symmetricEigenvalues(
  matrix: Float64Array,
  n: number,
  product: Product,
): Promise<Float64Array> {
  const { diagonal, offDiagonal } = await tridiagonalise(matrix, n, product);
  return tridiagonalEigenvalues(diagonal, offDiagonal);
}
