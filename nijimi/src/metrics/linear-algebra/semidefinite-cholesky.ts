/**
 * Cholesky factorisation of a positive semi-definite matrix, in panels: A = Uᵀ U with as many rows as the matrix has
 * numerical rank. A column that depends on those before it leaves a pivot of rounding size; it gets no row. That is
 * what covariances of fewer samples than dimensions, or of features that never fire, need: the ordinary
 * factorisation breaks on them.
 */
import { NijimiError } from "../../errors.ts";
import type { Product } from "./product.ts";
import { subtractRows, transposed } from "./row-combinations.ts";
import { shrink } from "./shrink.ts";

/** Columns between two updates of the whole remaining matrix. */
const PANEL = 64;

export interface SemidefiniteFactor {
  /** Number of rows. */
  readonly rank: number;
  /** [rank, n]: A ≈ rowsᵀ · rows. */
  readonly rows: Float64Array;
}

/**
 * Factors a positive semi-definite matrix. Pivots up to n · ε times the largest diagonal element count as zero.
 *
 * @param matrix [n, n], at least the upper triangle; left as it is
 * @throws NijimiError `numeric` for NaN or infinity
 */
export async function semidefiniteCholesky(
  matrix: Float64Array,
  n: number,
  product: Product,
): Promise<SemidefiniteFactor> {
  const limit = n * Number.EPSILON * largestDiagonal(matrix, n);
  const rest = matrix.slice(); // the first size² elements hold what is left, upper triangle
  const rows = new Float64Array(n * n);
  let rank = 0;
  for (let done = 0; done < n; done += PANEL) {
    const size = n - done;
    const width = Math.min(PANEL, size);
    const panel = factorPanel(rest, size, width, limit);
    for (let r = 0; r < panel.rank; r++)
      rows.set(panel.rows.subarray(r * size, (r + 1) * size), (rank + r) * n + done);
    rank += panel.rank;
    if (width === size) break;
    const columns = transposed(panel.rows, width, size);
    await shrink(rest, size, width, { left: columns, right: columns, inner: width }, product, true);
  }
  return { rank, rows: rows.subarray(0, rank * n) };
}

/** Rows of U from the first `width` rows of the rest; unused rows of the panel stay zero. */
function factorPanel(
  rest: Float64Array,
  size: number,
  width: number,
  limit: number,
): { readonly rank: number; readonly rows: Float64Array } {
  const rows = new Float64Array(width * size);
  const factors = new Float64Array(width);
  let rank = 0;
  for (let j = 0; j < width; j++) {
    const row = rows.subarray(rank * size, (rank + 1) * size);
    row.set(rest.subarray(j * size + j, (j + 1) * size), j);
    for (let r = 0; r < rank; r++) factors[r] = rows[r * size + j];
    subtractRows(row, rows, rank, size, j, factors);
    const pivot = row[j];
    if (Number.isNaN(pivot))
      throw new NijimiError("numeric", "The matrix holds NaN; expected a covariance.");
    if (pivot <= limit) {
      row.fill(0);
      continue;
    }
    const root = Math.sqrt(pivot);
    for (let i = j; i < size; i++) row[i] /= root;
    rank++;
  }
  return { rank, rows };
}

function largestDiagonal(matrix: Float64Array, n: number): number {
  let largest = 0;
  for (let i = 0; i < n; i++) {
    const value = matrix[i * (n + 1)];
    if (!Number.isFinite(value))
      throw new NijimiError(
        "numeric",
        `The matrix has ${value} on its diagonal; expected a covariance.`,
      );
    largest = Math.max(largest, value);
  }
  return largest;
}
