/**
 * tr √(A B) of two covariances: the coupling term of the Fréchet distance.
 *
 * With A = Uᵀ U, the non-zero eigenvalues of A B are those of U B Uᵀ, which is symmetric and as large as A's rank:
 * no square root of a non-symmetric matrix, no complex numbers, no offset on the diagonal for singular products.
 */
import { mirrorUpper } from "./mirror.ts";
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
  const coupled = await conjugated(rows, b, rank, n, product);
  const eigenvalues = await symmetricEigenvalues(coupled, rank, product);
  return eigenvalues.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
}

/** Rows of U B multiplied at a time: bounds what products allocate. */
const STRIP = 256;

/**
 * U B Uᵀ of U [rank, n], whose row r is zero before column r, and a symmetric B [n, n]: computed from the diagonal on,
 * then mirrored.
 */
async function conjugated(
  u: Float64Array,
  b: Float64Array,
  rank: number,
  n: number,
  product: Product,
): Promise<Float64Array> {
  const out = new Float64Array(rank * rank);
  for (let start = 0; start < rank; start += STRIP) {
    const rows = Math.min(STRIP, rank - start);
    const factors = withoutZeros(u, start, rows, n);
    const half = await product(factors, b.subarray(start * n), rows, n - start, n, "ab"); // U B
    const strip = await product(half, u.subarray(start * n), rows, n, rank - start);
    const columns = rank - start;
    for (let i = 0; i < rows; i++)
      out.set(strip.subarray(i * columns, (i + 1) * columns), (start + i) * rank + start);
  }
  mirrorUpper(out, rank);
  return out;
}

/** Rows `start …` of U without their first `start` columns. */
function withoutZeros(u: Float64Array, start: number, rows: number, n: number): Float64Array {
  const out = new Float64Array(rows * (n - start));
  for (let i = 0; i < rows; i++)
    out.set(u.subarray((start + i) * n + start, (start + i + 1) * n), i * (n - start));
  return out;
}
