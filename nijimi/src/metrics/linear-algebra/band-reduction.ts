/**
 * Reduction of a symmetric matrix to a band of the same eigenvalues by blocks of Householder reflections (Bischof,
 * Lang & Sun 2000, the first step of "successive band reduction"). Every block costs one product of the remaining
 * matrix with a few vectors, which reads the matrix once for all of them; the direct way to tridiagonal form reads it
 * once per column. Large products go to the injected {@link Product}.
 */
import type { BandMatrix } from "./band-matrix.ts";
import { dot, type Product } from "./product.ts";
import { makeReflector } from "./reflector.ts";
import { transposed } from "./row-combinations.ts";
import { shrink } from "./shrink.ts";

/** Width of the band below the diagonal, and reflectors of a block. */
const BLOCK = 8;
/** Columns between two updates of the whole remaining matrix. */
const PANEL = 16 * BLOCK;

/**
 * A band matrix with the eigenvalues of a symmetric matrix.
 *
 * @param matrix [n, n], both triangles; overwritten
 */
export async function reduceToBand(
  matrix: Float64Array,
  n: number,
  product: Product,
): Promise<BandMatrix> {
  const band = { n, stride: 2 * BLOCK, columns: new Float64Array(n * 2 * BLOCK) };
  // The first size² elements of the matrix hold what is not reduced yet.
  for (let size = n; size > 0; size -= PANEL) {
    const width = Math.min(PANEL, size);
    const change = { size, rows: new Float64Array(2 * PANEL * size), filled: 0 };
    for (let column = 0; column < width; column += BLOCK)
      await reduceBlock(matrix.subarray(0, size * size), column, change, band, product);
    if (width < size) {
      const left = transposed(change.rows, change.filled, size);
      const low = { left, right: exchanged(left), inner: change.filled };
      await shrink(matrix, size, width, low, product);
    }
  }
  return band;
}

/**
 * What reflections have changed since the last update: the matrix is now A − Σ V Zᵀ + Z Vᵀ. Blocks of vectors lie in
 * the order V, Z, V, Z, …; {@link exchanged} gives the partner of each.
 */
interface Change {
  /** Length of the vectors, and rows of A. */
  readonly size: number;
  /** [≥ filled, size] */
  readonly rows: Float64Array;
  /** Vectors so far. */
  filled: number;
}

/** The same with V and Z exchanged, where every row of the argument has one element per vector of a change. */
function exchanged(rows: Float64Array): Float64Array {
  const out = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) out[i] = rows[i ^ BLOCK];
  return out;
}

/** Brings {@link BLOCK} columns into band form and adds their reflections to the change. */
async function reduceBlock(
  a: Float64Array,
  column: number,
  change: Change,
  band: BandMatrix,
  product: Product,
): Promise<void> {
  const { size, rows, filled } = change;
  const width = Math.min(BLOCK, size - column);
  const columns = await currentColumns(a, column, width, change, product);
  const v = rows.subarray(filled * size, (filled + width) * size);
  const taus = factorColumns(columns, size, column, band, v);
  if (column + width < size) await addReflections(a, taus, change, product);
}

/** Rows `column …` of the matrix as it is now, which is symmetric. */
async function currentColumns(
  a: Float64Array,
  column: number,
  width: number,
  { size, rows, filled }: Change,
  product: Product,
): Promise<Float64Array> {
  const now = a.slice(column * size, (column + width) * size);
  if (filled === 0) return now;
  const factors = new Float64Array(width * filled);
  for (let r = 0; r < filled; r++)
    for (let q = 0; q < width; q++) factors[q * filled + r] = rows[r * size + column + q];
  subtract(
    now,
    await product(exchanged(factors), rows.subarray(0, filled * size), width, filled, size, "ab"),
  );
  return now;
}

function subtract(x: Float64Array, y: Float64Array): void {
  for (let i = 0; i < x.length; i++) x[i] -= y[i];
}

/**
 * QR factorisation of what lies below the diagonal block of some columns; fills those columns of the band.
 *
 * @param columns [width, size]; overwritten
 * @param v [width, size], zeros; becomes the vectors of the reflections H₁ H₂ …
 * @returns the reflections' factors τ
 */
function factorColumns(
  columns: Float64Array,
  size: number,
  column: number,
  band: BandMatrix,
  v: Float64Array,
): Float64Array {
  const width = columns.length / size;
  const start = column + width; // first row below the diagonal block
  const done = band.n - size + column; // columns of the band that are ready
  const taus = new Float64Array(width);
  for (let q = 0; q < width; q++) {
    const length = size - start - q;
    const at = q * size + start + q;
    let beta = 0;
    if (length > 0) {
      v.set(columns.subarray(at, at + length), at);
      ({ tau: taus[q], beta } = makeReflector(v, at, length));
      for (let other = q + 1; other < width; other++)
        reflect(columns, other * size, v, q * size, start + q, size, taus[q]);
    }
    // The column of the band: its part of the diagonal block, then the triangle that the reflections leave.
    const to = (done + q) * band.stride;
    for (let i = column + q; i < Math.min(start + q, size); i++)
      band.columns[to + i - column - q] = columns[q * size + i];
    if (length > 0) band.columns[to + width] = beta;
  }
  return taus;
}

/** x −= τ (vᵀ x) v over the elements from … end. */
function reflect(
  x: Float64Array,
  xRow: number,
  v: Float64Array,
  vRow: number,
  from: number,
  end: number,
  tau: number,
): void {
  const factor = tau * dot(x, v, xRow + from, vRow + from, end - from);
  for (let i = from; i < end; i++) x[xRow + i] -= factor * v[vRow + i];
}

/**
 * Adds the reflections whose vectors V are the first rows that are not filled. Of Q = H₁ H₂ … = I − V T Vᵀ comes
 * QᵀAQ = A − V Zᵀ − Z Vᵀ with Z = Y − ½ V (Tᵀ Vᵀ Y) and Y = A V T, here A V T − ½ V (Tᵀ Vᵀ A V T).
 */
async function addReflections(
  a: Float64Array,
  taus: Float64Array,
  change: Change,
  product: Product,
): Promise<void> {
  const { size, rows, filled } = change;
  const [vAt, zAt, end] = [filled, filled + BLOCK, filled + 2 * BLOCK];
  const v = rows.subarray(vAt * size, zAt * size); // [BLOCK, size], as all below
  const z = rows.subarray(zAt * size, end * size);
  const dots = await product(v, rows.subarray(0, zAt * size), BLOCK, size, zAt); // with all, V the last
  z.set(await currentProduct(a, v, columnsOf(dots, zAt, 0, vAt), change, product)); // A V for now
  const t = triangle(columnsOf(dots, zAt, vAt, zAt), taus);
  const coupling = congruence(t, await product(v, z, BLOCK, size, BLOCK)); // Tᵀ Vᵀ A V T
  const factors = new Float64Array(2 * BLOCK * BLOCK); // [−½ (Tᵀ Vᵀ A V T)ᵀ, Tᵀ]
  for (let p = 0; p < BLOCK; p++)
    for (let q = 0; q < BLOCK; q++) {
      factors[2 * p * BLOCK + q] = -0.5 * coupling[q * BLOCK + p];
      factors[(2 * p + 1) * BLOCK + q] = t[q * BLOCK + p];
    }
  z.set(
    await product(factors, rows.subarray(vAt * size, end * size), BLOCK, 2 * BLOCK, size, "ab"),
  );
  change.filled = end;
}

/** (A − Σ V Zᵀ + Z Vᵀ) V in rows. @param dots of V with every vector of the change, [BLOCK, filled] */
async function currentProduct(
  a: Float64Array,
  v: Float64Array,
  dots: Float64Array,
  { size, rows, filled }: Change,
  product: Product,
): Promise<Float64Array> {
  const out = transposed(await product(a, v, size, size, BLOCK), size, BLOCK);
  if (filled === 0) return out;
  subtract(
    out,
    await product(exchanged(dots), rows.subarray(0, filled * size), BLOCK, filled, size, "ab"),
  );
  return out;
}

/** Some columns of a matrix of {@link BLOCK} rows. */
function columnsOf(matrix: Float64Array, stride: number, from: number, to: number): Float64Array {
  const out = new Float64Array(BLOCK * (to - from));
  for (let p = 0; p < BLOCK; p++)
    out.set(matrix.subarray(p * stride + from, p * stride + to), p * (to - from));
  return out;
}

/** T of H₁ H₂ … = I − V T Vᵀ, upper triangular (Schreiber & Van Loan 1989). @param gram Vᵀ V */
function triangle(gram: Float64Array, taus: Float64Array): Float64Array {
  const t = new Float64Array(BLOCK * BLOCK);
  for (let q = 0; q < BLOCK; q++) {
    t[q * BLOCK + q] = taus[q];
    for (let p = 0; p < q; p++) {
      const factor = -taus[q] * gram[p * BLOCK + q];
      for (let r = 0; r <= p; r++) t[r * BLOCK + q] += factor * t[r * BLOCK + p];
    }
  }
  return t;
}

/** Tᵀ S T of small square matrices. */
function congruence(t: Float64Array, s: Float64Array): Float64Array {
  return timesSmall(transposed(t, BLOCK, BLOCK), timesSmall(s, t));
}

/** x · y of small square matrices. */
function timesSmall(x: Float64Array, y: Float64Array): Float64Array {
  const out = new Float64Array(BLOCK * BLOCK);
  for (let p = 0; p < BLOCK; p++)
    for (let q = 0; q < BLOCK; q++)
      for (let k = 0; k < BLOCK; k++) out[p * BLOCK + q] += x[p * BLOCK + k] * y[k * BLOCK + q];
  return out;
}
