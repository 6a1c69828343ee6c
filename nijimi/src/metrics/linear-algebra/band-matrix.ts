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

/**
 * Rows first … first + length of the columns from `column` to `first` − 1, from the left. Four columns at a time, so
 * that the vector is read once for all of them and their sums do not wait for each other.
 */
function reflectLeft(
  columns: Float64Array,
  stride: number,
  column: number,
  first: number,
  length: number,
  v: Float64Array,
  tau: number,
): void {
  let j = column;
  for (; j + 3 < first; j += 4) {
    const at0 = j * stride + first - j; // element (first + i, j) is at `at0 + i`
    const at1 = at0 + stride - 1;
    const at2 = at1 + stride - 1;
    const at3 = at2 + stride - 1;
    let [dot0, dot1, dot2, dot3] = [0, 0, 0, 0];
    for (let i = 0; i < length; i++) {
      const factor = tau * v[i];
      dot0 += factor * columns[at0 + i];
      dot1 += factor * columns[at1 + i];
      dot2 += factor * columns[at2 + i];
      dot3 += factor * columns[at3 + i];
    }
    for (let i = 0; i < length; i++) {
      const factor = v[i];
      columns[at0 + i] -= dot0 * factor;
      columns[at1 + i] -= dot1 * factor;
      columns[at2 + i] -= dot2 * factor;
      columns[at3 + i] -= dot3 * factor;
    }
  }
  for (; j < first; j++) {
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
    const vj = v[j];
    let sum = columns[at + j] * vj;
    for (let i = j + 1; i < length; i++) {
      const element = columns[at + i];
      sum += element * v[i];
      w[i] += element * vj;
    }
    w[j] += sum;
  }
  let vDv = 0;
  for (let i = 0; i < length; i++) vDv += v[i] * w[i];
  const along = 0.5 * tau * vDv;
  for (let i = 0; i < length; i++) w[i] = tau * (w[i] - along * v[i]);
  for (let j = 0; j < length; j++) {
    const at = (first + j) * stride - j;
    const [vj, wj] = [v[j], w[j]];
    for (let i = j; i < length; i++) columns[at + i] -= v[i] * wj + w[i] * vj;
  }
}

/** The block of `rows` rows below the diagonal block, from the right; four columns at a time where there are as many. */
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
  const start = first * stride + length; // element (i, j) of the block is at `start + j · (stride − 1) + i`
  const fours = length - (length % 4);
  for (let i = 0; i < rows; i++) w[i] = 0;
  for (let j = 0; j < fours; j += 4) {
    const at0 = start + j * (stride - 1);
    const at1 = at0 + stride - 1;
    const at2 = at1 + stride - 1;
    const at3 = at2 + stride - 1;
    const [v0, v1, v2, v3] = [v[j], v[j + 1], v[j + 2], v[j + 3]];
    for (let i = 0; i < rows; i++)
      w[i] +=
        v0 * columns[at0 + i] +
        v1 * columns[at1 + i] +
        (v2 * columns[at2 + i] + v3 * columns[at3 + i]);
  }
  for (let j = fours; j < length; j++) {
    const at = start + j * (stride - 1);
    for (let i = 0; i < rows; i++) w[i] += columns[at + i] * v[j];
  }
  for (let i = 0; i < rows; i++) w[i] *= tau;
  for (let j = 0; j < fours; j += 4) {
    const at0 = start + j * (stride - 1);
    const at1 = at0 + stride - 1;
    const at2 = at1 + stride - 1;
    const at3 = at2 + stride - 1;
    const [v0, v1, v2, v3] = [v[j], v[j + 1], v[j + 2], v[j + 3]];
    for (let i = 0; i < rows; i++) {
      const factor = w[i];
      columns[at0 + i] -= v0 * factor;
      columns[at1 + i] -= v1 * factor;
      columns[at2 + i] -= v2 * factor;
      columns[at3 + i] -= v3 * factor;
    }
  }
  for (let j = fours; j < length; j++) {
    const at = start + j * (stride - 1);
    for (let i = 0; i < rows; i++) columns[at + i] -= v[j] * w[i];
  }
}
