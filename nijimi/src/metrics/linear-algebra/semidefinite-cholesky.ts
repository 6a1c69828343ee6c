/**
 * Cholesky factorisation of a positive semi-definite matrix by blocks of rows: A = Uᵀ U with as many rows as the
 * matrix has numerical rank. A column that depends on those before it leaves a pivot of rounding size; it gets no
 * row. That is what covariances of fewer samples than dimensions, or of features that never fire, need: the ordinary
 * factorisation breaks on them.
 */
import { NijimiError } from "../../errors.ts";
import type { Product } from "./product.ts";
import { subtractRows } from "./row-combinations.ts";

/** Rows from which all former rows of U are subtracted at once. */
const PANEL = 64;
/** Rows of a panel from which the panel's former rows of U are subtracted at once. */
const STEP = 16;

export interface SemidefiniteFactor {
  /** Number of rows. */
  readonly rank: number;
  /** [rank, n]: A ≈ rowsᵀ · rows. Row r is zero before column r. */
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
  const rows = new Float64Array(n * n);
  let rank = 0;
  for (let panel = 0; panel < n; panel += PANEL) {
    const panelEnd = Math.min(panel + PANEL, n);
    const rest = matrix.slice(panel * n, panelEnd * n);
    await subtractFormer(rest, panel, rows.subarray(0, rank * n), n, product);
    const former = rank;
    for (let start = panel; start < panelEnd; start += STEP) {
      const end = Math.min(start + STEP, panelEnd);
      const step = rest.subarray((start - panel) * n, (end - panel) * n);
      await subtractFormer(step, start, rows.subarray(former * n, rank * n), n, product);
      rank += factorStep(step, start, rows.subarray(rank * n), n, limit);
    }
  }
  return { rank, rows: rows.subarray(0, rank * n) };
}

/**
 * Subtracts what former rows of U contribute to some rows of A: A − Uᵀ U.
 *
 * @param rest rows `start …` of A, [rows, n]; right of the diagonal becomes what is left of them
 */
async function subtractFormer(
  rest: Float64Array,
  start: number,
  former: Float64Array,
  n: number,
  product: Product,
): Promise<void> {
  const [count, rank] = [rest.length / n, former.length / n];
  if (rank === 0) return;
  const factors = new Float64Array(count * rank);
  for (let r = 0; r < rank; r++)
    for (let q = 0; q < count; q++) factors[q * rank + r] = former[r * n + start + q];
  subtractAbove(rest, await product(factors, former, count, rank, n, "ab"), start, n);
}

/** Not part of the function above, since loops of functions that await are not compiled well. */
function subtractAbove(rest: Float64Array, change: Float64Array, start: number, n: number): void {
  for (let row = 0; row < rest.length; row += n)
    for (let i = row + start; i < row + n; i++) rest[i] -= change[i];
}

/**
 * Writes the rows of U that come from some rows of what is left of A, and returns how many.
 *
 * @param rest rows `start …`, [rows, n]
 * @param into rows of U that are free, zeros
 */
function factorStep(
  rest: Float64Array,
  start: number,
  into: Float64Array,
  n: number,
  limit: number,
): number {
  const factors = new Float64Array(rest.length / n);
  let rank = 0;
  for (let q = 0; q < factors.length; q++) {
    const column = start + q;
    const row = rest.subarray(q * n, (q + 1) * n);
    for (let r = 0; r < rank; r++) factors[r] = into[r * n + column];
    subtractRows(row, into, rank, n, column, factors);
    const pivot = row[column];
    if (Number.isNaN(pivot))
      throw new NijimiError("numeric", "The matrix holds NaN; expected a covariance.");
    if (pivot <= limit) continue;
    const root = Math.sqrt(pivot);
    for (let i = column; i < n; i++) into[rank * n + i] = row[i] / root;
    rank++;
  }
  return rank;
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
