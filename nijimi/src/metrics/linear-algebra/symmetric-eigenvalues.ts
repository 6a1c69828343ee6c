/**
 * Eigenvalues of symmetric matrices of some thousand rows, without vectors: to a narrow band by large products, from
 * there to tridiagonal form by small reflections, then QL.
 */
import { tridiagonaliseBand } from "./band-matrix.ts";
import { reduceToBand } from "./band-reduction.ts";
import type { Product } from "./product.ts";
import { tridiagonalEigenvalues } from "./tridiagonal-eigenvalues.ts";

/**
 * All eigenvalues in ascending order, each to about ε·‖A‖.
 *
 * @param matrix [n, n], symmetric, both triangles; overwritten, which saves a copy of a large matrix
 */
export async function symmetricEigenvalues(
  matrix: Float64Array,
  n: number,
  product: Product,
): Promise<Float64Array> {
  const band = await reduceToBand(matrix, n, product);
  const { diagonal, offDiagonal } = tridiagonaliseBand(band);
  return tridiagonalEigenvalues(diagonal, offDiagonal);
}
