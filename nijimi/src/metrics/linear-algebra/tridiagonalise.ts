/**
 * Householder reduction of a symmetric matrix to tridiagonal form, in panels (Dongarra, Hammarling & Sorensen 1989;
 * Golub & Van Loan § 8.3.1). Half of the 4/3 n³ operations are one matrix-vector product per column, the other half
 * one matrix product per panel; both go to the injected {@link Product}. The orthogonal matrix is not formed.
 */
import type { Product } from "./product.ts";
import { rowDots, subtractRows, transposed } from "./row-combinations.ts";
import { type LowRank, shrink } from "./shrink.ts";

/** Columns between two updates of the whole remaining matrix. */
const PANEL = 64;

export interface Tridiagonal {
  /** [n] */
  readonly diagonal: Float64Array;
  /** [n − 1] */
  readonly offDiagonal: Float64Array;
}

/**
 * The tridiagonal matrix with the eigenvalues of a symmetric matrix.
 *
 * @param matrix [n, n], both triangles; left as it is
 */
export async function tridiagonalise(
  matrix: Float64Array,
  n: number,
  product: Product,
): Promise<Tridiagonal> {
  const diagonal = new Float64Array(n);
  const offDiagonal = new Float64Array(Math.max(0, n - 1));
  const rest = matrix.slice(); // the first size² elements hold what is not reduced yet
  let size = n;
  while (size > 2) {
    const width = Math.min(PANEL, size - 2);
    const done = n - size;
    const current = rest.subarray(0, size * size);
    const pairs = await reducePanel(
      current,
      size,
      width,
      product,
      diagonal.subarray(done),
      offDiagonal.subarray(done),
    );
    await shrink(rest, size, width, changeBy(pairs, size, 2 * width), product);
    size -= width;
  }
  for (let i = 0; i < size; i++) diagonal[n - size + i] = rest[i * size + i];
  if (size === 2) offDiagonal[n - 2] = rest[1];
  return { diagonal, offDiagonal };
}

/**
 * Reduces the first `width` columns. The remaining matrix becomes A − V Wᵀ − W Vᵀ, where V are the reflectors.
 *
 * @returns V and W as alternating rows [2 · width, size]: v₀, w₀, v₁, w₁, …, so that row r pairs with row r ^ 1
 */
async function reducePanel(
  a: Float64Array,
  size: number,
  width: number,
  product: Product,
  diagonal: Float64Array,
  offDiagonal: Float64Array,
): Promise<Float64Array> {
  const pairs = new Float64Array(2 * width * size);
  const factors = new Float64Array(2 * width);
  const dots = new Float64Array(2 * width);
  for (let j = 0; j < width; j++) {
    const before = 2 * j;
    const v = pairs.subarray(before * size, (before + 1) * size);
    const w = pairs.subarray((before + 1) * size, (before + 2) * size);
    // Column j as the reflections so far have left it: a_j − Σ v (w_j) + w (v_j).
    const column = a.slice(j * size, (j + 1) * size);
    for (let r = 0; r < before; r++) factors[r] = pairs[(r ^ 1) * size + j];
    subtractRows(column, pairs, before, size, j, factors);
    diagonal[j] = column[j];
    const { tau, beta } = reflector(column, j + 1, v);
    offDiagonal[j] = beta;
    if (tau === 0) continue;
    // w = τ (A v − V (Wᵀv) − W (Vᵀv)), then made orthogonal enough that the update is symmetric.
    w.set((await product(a, v, size, size, 1)).subarray(j + 1), j + 1);
    rowDots(pairs, before, size, j + 1, v, dots);
    for (let r = 0; r < before; r++) factors[r] = dots[r ^ 1];
    subtractRows(w, pairs, before, size, j + 1, factors);
    let vw = 0;
    for (let i = j + 1; i < size; i++) vw += v[i] * (w[i] *= tau);
    for (let i = j + 1; i < size; i++) w[i] -= 0.5 * tau * vw * v[i];
  }
  return pairs;
}

/**
 * The reflector H = I − τ v vᵀ that sends x[from …] to (beta, 0, …), with v[from] = 1 written into `v`; τ = 0 where
 * nothing is to be done.
 */
function reflector(x: Float64Array, from: number, v: Float64Array): { tau: number; beta: number } {
  const alpha = x[from];
  let tail = 0;
  for (let i = from + 1; i < x.length; i++) tail += x[i] * x[i];
  if (tail === 0) return { tau: 0, beta: alpha };
  const norm = Math.sqrt(alpha * alpha + tail);
  const beta = alpha > 0 ? -norm : norm;
  for (let i = from + 1; i < x.length; i++) v[i] = x[i] / (alpha - beta);
  v[from] = 1;
  return { tau: (beta - alpha) / beta, beta };
}

/** V Wᵀ + W Vᵀ as one product of [size, inner] matrices. */
function changeBy(pairs: Float64Array, size: number, inner: number): LowRank {
  const left = transposed(pairs, inner, size);
  const right = new Float64Array(left.length); // the same with V and W exchanged
  for (let i = 0; i < left.length; i++) right[i] = left[i ^ 1];
  return { left, right, inner };
}
