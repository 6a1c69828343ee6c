/** Symmetric matrices of which only the upper triangle was computed. */

/** Columns and rows of a tile: one line of the cache, so that few lines are in use at a time. */
const TILE = 8;

/** Copies what lies above the diagonal of a matrix [n, n] to below it, tile by tile. */
export function mirrorUpper(matrix: Float64Array, n: number): void {
  for (let i0 = 0; i0 < n; i0 += TILE) {
    const iEnd = Math.min(i0 + TILE, n);
    for (let j0 = i0; j0 < n; j0 += TILE) {
      const jEnd = Math.min(j0 + TILE, n);
      for (let j = j0; j < jEnd; j++)
        for (let i = i0; i < iEnd && i < j; i++) matrix[j * n + i] = matrix[i * n + j];
    }
  }
}
