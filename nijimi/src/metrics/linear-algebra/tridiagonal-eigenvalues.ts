/**
 * Eigenvalues of a symmetric tridiagonal matrix by the implicit QL algorithm with Wilkinson's shift
 * (Golub & Van Loan, Matrix Computations, § 8.3), without vectors: about 30 n² operations.
 */
import { invariant } from "../../errors.ts";

/** Sweeps for one eigenvalue after which an off-diagonal counts as zero relative to the whole matrix; 2 are usual. */
const PATIENCE = 30;
/** Sweeps after which something is wrong. */
const MAX_SWEEPS = 90;

/**
 * Eigenvalues in ascending order.
 *
 * @param diagonal n elements
 * @param offDiagonal n − 1 elements
 */
export function tridiagonalEigenvalues(
  diagonal: Float64Array,
  offDiagonal: Float64Array,
): Float64Array {
  const n = diagonal.length;
  const d = Float64Array.from(diagonal);
  const e = new Float64Array(n);
  e.set(offDiagonal);
  const norm = d.reduce(
    (largest, value, i) => Math.max(largest, Math.abs(value) + 2 * Math.abs(e[i])),
    0,
  );
  let oriented = -1;
  for (let l = 0; l < n; l++) {
    for (let sweeps = 0; ; sweeps++) {
      invariant(sweeps < MAX_SWEEPS, `QL did not converge for eigenvalue ${l} of ${n}`);
      const m = blockEnd(d, e, l, sweeps < PATIENCE ? 0 : Number.EPSILON * norm);
      if (m === l) break;
      if (m !== oriented) orient(d, e, l, m);
      oriented = m;
      sweep(d, e, l, m);
    }
  }
  return d.sort();
}

/** Last index of the unreduced block that starts at l: the first off-diagonal that no longer counts ends it. */
function blockEnd(d: Float64Array, e: Float64Array, l: number, floor: number): number {
  let m = l;
  while (
    m < d.length - 1 &&
    Math.abs(e[m]) > Number.EPSILON * (Math.abs(d[m]) + Math.abs(d[m + 1])) + floor
  )
    m++;
  return m;
}

/** QL converges fast, and keeps small eigenvalues accurate, where a block grows from top to bottom. */
function orient(d: Float64Array, e: Float64Array, l: number, m: number): void {
  if (Math.abs(d[l]) <= Math.abs(d[m])) return;
  d.subarray(l, m + 1).reverse();
  e.subarray(l, m).reverse();
}

/** One implicit QL sweep over rows l … m: the bulge is chased from m up to l by rotations (c, s). */
function sweep(d: Float64Array, e: Float64Array, l: number, m: number): void {
  const half = (d[l + 1] - d[l]) / (2 * e[l]);
  const root = Math.sqrt(half * half + 1);
  let g = d[m] - d[l] + e[l] / (half + (half < 0 ? -root : root));
  let [s, c, p] = [1, 1, 0];
  for (let i = m - 1; i >= l; i--) {
    const f = s * e[i];
    const b = c * e[i];
    const r = Math.sqrt(f * f + g * g);
    e[i + 1] = r;
    if (r === 0) {
      // The block splits here: what is below is done.
      d[i + 1] -= p;
      e[m] = 0;
      return;
    }
    s = f / r;
    c = g / r;
    g = d[i + 1] - p;
    const t = (d[i] - g) * s + 2 * c * b;
    p = s * t;
    d[i + 1] = g + p;
    g = c * t - b;
  }
  d[l] -= p;
  e[l] = g;
  e[m] = 0;
}
