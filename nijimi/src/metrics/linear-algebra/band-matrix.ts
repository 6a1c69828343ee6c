/**
 * Symmetric band matrices, and their reduction to tridiagonal form by chasing bulges (Rutishauser 1963; in blocks of
 * the bandwidth, Lang 1993): 6 n² b operations, all of them near the diagonal.
 */
import { makeReflector } from "./reflector.ts";

/**
 * The lower half by columns: element (j + d, j) is at `columns[j · stride + d]`. The stride is twice the bandwidth,
 * so that there is room for the bulges.
 */
export interface BandMatrix {
  readonly n: number;
  readonly stride: number;
  readonly columns: Float64Array;
}

export interface Tridiagonal {
  /** [n] */
  readonly diagonal: Float64Array;
  /** [n − 1] */
  readonly offDiagonal: Float64Array;
}

/** The tridiagonal matrix with the eigenvalues of a band matrix, which is overwritten. */
export function tridiagonaliseBand({ n, stride, columns }: BandMatrix): Tridiagonal {
  const bandwidth = stride / 2;
  const v = new Float64Array(bandwidth);
  const w = new Float64Array(bandwidth);
  for (let k = 0; k < n - 2; k++) {
    // A reflection leaves column k with one element below the diagonal, and a bulge further down …
    let [column, below] = [k, 1];
    let first = k + 1;
    let length = Math.min(bandwidth, n - first);
    while (length > 1) {
      const at = column * stride + below;
      for (let i = 0; i < length; i++) {
        v[i] = columns[at + i];
        columns[at + i] = 0;
      }
      const { tau, beta } = makeReflector(v, 0, length);
      columns[at] = beta;
      if (column !== k) reflectLeft(columns, stride, column + 1, first, length, v, tau);
      reflectBothSides(columns, stride, first, length, v, w, tau);
      const next = Math.min(bandwidth, n - first - length);
      reflectRight(columns, stride, first, length, next, v, w, tau);
      // … whose first column the next reflection clears, leaving a bulge further down, and so on to the end.
      [column, below] = [first, length];
      first += length;
      length = next;
    }
  }
  return {
    diagonal: Float64Array.from({ length: n }, (_, j) => columns[j * stride]),
    offDiagonal: Float64Array.from(
      { length: Math.max(0, n - 1) },
      (_, j) => columns[j * stride + 1],
    ),
  };
}

/** Rows first … first + length of the columns from `column` to `first` − 1, from the left. */
function reflectLeft(
  columns: Float64Array,
  stride: number,
  column: number,
  first: number,
  length: number,
  v: Float64Array,
  tau: number,
): void {
  for (let j = column; j < first; j++) {
    const at = j * stride + first - j;
    let dot = 0;
    for (let i = 0; i < length; i++) dot += v[i] * columns[at + i];
    dot *= tau;
    for (let i = 0; i < length; i++) columns[at + i] -= dot * v[i];
  }
}

/** The diagonal block D from `first` on: D − v wᵀ − w vᵀ with w = τ D v − ½ τ² (vᵀ D v) v. */
function reflectBothSides(
  columns: Float64Array,
  stride: number,
  first: number,
  length: number,
  v: Float64Array,
  w: Float64Array,
  tau: number,
): void {
  for (let i = 0; i < length; i++) w[i] = 0; // a call of fill would take longer
  for (let j = 0; j < length; j++) {
    const at = (first + j) * stride - j; // element (i, j) of the block is at `at + i`
    let sum = columns[at + j] * v[j];
    for (let i = j + 1; i < length; i++) {
      const element = columns[at + i];
      sum += element * v[i];
      w[i] += element * v[j];
    }
    w[j] += sum;
  }
  let vDv = 0;
  for (let i = 0; i < length; i++) vDv += v[i] * w[i];
  for (let i = 0; i < length; i++) w[i] = tau * (w[i] - 0.5 * tau * vDv * v[i]);
  for (let j = 0; j < length; j++) {
    const at = (first + j) * stride - j;
    for (let i = j; i < length; i++) columns[at + i] -= v[i] * w[j] + w[i] * v[j];
  }
}

/** The block of `rows` rows below the diagonal block, from the right. */
function reflectRight(
  columns: Float64Array,
  stride: number,
  first: number,
  length: number,
  rows: number,
  v: Float64Array,
  w: Float64Array,
  tau: number,
): void {
  for (let i = 0; i < rows; i++) w[i] = 0;
  for (let j = 0; j < length; j++) {
    const at = (first + j) * stride + length - j; // element (i, j) of the block is at `at + i`
    for (let i = 0; i < rows; i++) w[i] += columns[at + i] * v[j];
  }
  for (let j = 0; j < length; j++) {
    const at = (first + j) * stride + length - j;
    const factor = tau * v[j];
    for (let i = 0; i < rows; i++) columns[at + i] -= factor * w[i];
  }
}
