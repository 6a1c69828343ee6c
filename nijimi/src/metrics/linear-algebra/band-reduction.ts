/**
 * Reduction of a symmetric matrix to a band of the same eigenvalues by blocks of Householder reflections (Bischof,
 * Lang & Sun 2000, the first step of "successive band reduction"). Every block costs one product of the remaining
 * matrix with a few vectors, which reads the matrix once for all of them; the direct way to tridiagonal form reads it
 * once per column. Large products go to the injected {@link Product}.
 */
import type { BandMatrix } from "./band-matrix.ts";
import { dot, type Product } from "./product.ts";
import { makeReflector } from "./reflector.ts";
import { subtractRows, transposed } from "./row-combinations.ts";
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
    const change = emptyChange(size, width);
    for (let column = 0; column < width; column += BLOCK)
      await reduceBlock(matrix.subarray(0, size * size), size, column, change, band, product);
    const { left, inner } = change;
    if (width < size)
      await shrink(matrix, size, width, { left, right: exchanged(left), inner }, product);
  }
  return band;
}

/**
 * What reflections have changed since the last update: the matrix is now A − Σ V Zᵀ + Z Vᵀ = A − left · rightᵀ, where
 * the column groups of `left` are V, Z, V, Z, … and those of `right` the same with V and Z exchanged.
 */
interface Change {
  /** [size, inner] */
  readonly left: Float64Array;
  /** leftᵀ, [inner, size]. */
  readonly rows: Float64Array;
  readonly inner: number;
}

function emptyChange(size: number, width: number): Change {
  const inner = 2 * Math.ceil(width / BLOCK) * BLOCK;
  return {
    left: new Float64Array(size * inner),
    rows: new Float64Array(size * inner),
    inner,
  };
}

/** Rows of `left` as rows of `right`, or the other way round. */
function exchanged(rows: Float64Array): Float64Array {
  const out = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++) out[i] = rows[i ^ BLOCK];
  return out;
}

/** Brings {@link BLOCK} columns into band form and adds their reflections to the change. */
async function reduceBlock(
  a: Float64Array,
  size: number,
  column: number,
  change: Change,
  band: BandMatrix,
  product: Product,
): Promise<void> {
  const width = Math.min(BLOCK, size - column);
  const columns = await currentColumns(a, size, column, width, change, product);
  const reflections = factorColumns(columns, size, column, width, band);
  if (column + width === size) return;
  const at = 2 * column;
  const { v } = reflections;
  addReflections(
    reflections,
    await currentProduct(a, size, v, width, change, at, product),
    change,
    at,
  );
}

/** Reflections H₁ H₂ … with their vectors in the rows of `v`, [width, size]. */
interface Reflections {
  readonly size: number;
  readonly v: Float64Array;
  readonly taus: Float64Array;
}

/**
 * QR factorisation of what lies below the diagonal block of some columns; fills those columns of the band.
 *
 * @param columns [width, size]; overwritten
 */
function factorColumns(
  columns: Float64Array,
  size: number,
  column: number,
  width: number,
  band: BandMatrix,
): Reflections {
  const start = column + width; // first row below the diagonal block
  const done = band.n - size + column; // columns of the band that are ready
  const v = new Float64Array(columns.length);
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
  return { size, v, taus };
}

/** Rows `column …` of A − left · rightᵀ, which is symmetric. */
async function currentColumns(
  a: Float64Array,
  size: number,
  column: number,
  width: number,
  { left, inner }: Change,
  product: Product,
): Promise<Float64Array> {
  const rows = a.slice(column * size, (column + width) * size);
  if (column === 0) return rows;
  const factors = exchanged(left.subarray(column * inner, (column + width) * inner));
  const changed = await product(factors, left, width, inner, size);
  subtract(rows, changed);
  return rows;
}

function subtract(x: Float64Array, y: Float64Array): void {
  for (let i = 0; i < x.length; i++) x[i] -= y[i];
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
 * Adds Q = H₁ H₂ … = I − V T Vᵀ to the change: QᵀAQ = A − V Zᵀ − Z Vᵀ with Z = Y − ½ V (Tᵀ Vᵀ Y) and Y = A V T.
 *
 * @param av A V, [size, width]
 * @param at first column of the change to fill
 */
function addReflections(
  { size, v, taus }: Reflections,
  av: Float64Array,
  change: Change,
  at: number,
): void {
  const width = taus.length;
  const t = triangle(v, size, taus);
  const z = transposed(timesSmall(av, t, width), size, width); // rows are the columns of Y, then of Z
  const half = new Float64Array(width * width); // ½ Tᵀ (Vᵀ Y)
  for (let p = 0; p < width; p++)
    for (let q = 0; q < width; q++) {
      const vy = dot(v, z, p * size, q * size, size);
      for (let r = p; r < width; r++) half[r * width + q] += 0.5 * t[p * width + r] * vy;
    }
  const factors = new Float64Array(width);
  for (let q = 0; q < width; q++) {
    for (let p = 0; p < width; p++) factors[p] = half[p * width + q];
    subtractRows(z.subarray(q * size, (q + 1) * size), v, width, size, 0, factors);
  }
  const { left, rows, inner } = change;
  rows.set(v, at * size);
  rows.set(z, (at + BLOCK) * size);
  for (let i = 0; i < size; i++)
    for (let q = 0; q < width; q++) {
      left[i * inner + at + q] = v[q * size + i];
      left[i * inner + at + BLOCK + q] = z[q * size + i];
    }
}

/** (A − left · rightᵀ) V, [size, width]. */
async function currentProduct(
  a: Float64Array,
  size: number,
  v: Float64Array,
  width: number,
  { left, rows, inner }: Change,
  at: number,
  product: Product,
): Promise<Float64Array> {
  const out = await product(a, v, size, size, width);
  if (at === 0) return out;
  const withLeft = await product(v, rows, width, size, inner); // Vᵀ left
  const changed = await product(left, exchanged(withLeft), size, inner, width); // left (Vᵀ right)ᵀ
  subtract(out, changed);
  return out;
}

/** T of H₁ H₂ … = I − V T Vᵀ, upper triangular [width, width] (Schreiber & Van Loan 1989). */
function triangle(v: Float64Array, size: number, taus: Float64Array): Float64Array {
  const width = taus.length;
  const t = new Float64Array(width * width);
  for (let q = 0; q < width; q++) {
    t[q * width + q] = taus[q];
    for (let p = 0; p < q; p++) {
      const factor = -taus[q] * dot(v, v, p * size, q * size, size);
      for (let r = 0; r <= p; r++) t[r * width + q] += factor * t[r * width + p];
    }
  }
  return t;
}

/** x · t for x [rows, width] and an upper triangular t [width, width]. */
function timesSmall(x: Float64Array, t: Float64Array, width: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += width)
    for (let q = 0; q < width; q++) {
      let sum = 0;
      for (let p = 0; p <= q; p++) sum += x[row + p] * t[p * width + q];
      out[row + q] = sum;
    }
  return out;
}
