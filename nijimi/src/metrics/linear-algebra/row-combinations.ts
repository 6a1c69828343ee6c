/**
 * Products with a few long rows, four rows at a time so that the vector is read once for all of them: the inner
 * loops of the panel factorisations, where a call of the engine would cost more than the work.
 */

/** target[i] −= Σ_r factors[r]·rows[r, i] for r < count and i ≥ from. @param rows [≥ count, width] */
export function subtractRows(
  target: Float64Array,
  rows: Float64Array,
  count: number,
  width: number,
  from: number,
  factors: Float64Array,
): void {
  let r = 0;
  for (; r + 3 < count; r += 4) {
    const [r0, r1, r2, r3] = [r * width, (r + 1) * width, (r + 2) * width, (r + 3) * width];
    const [f0, f1, f2, f3] = [factors[r], factors[r + 1], factors[r + 2], factors[r + 3]];
    for (let i = from; i < width; i++)
      target[i] -= f0 * rows[r0 + i] + f1 * rows[r1 + i] + f2 * rows[r2 + i] + f3 * rows[r3 + i];
  }
  for (; r < count; r++) {
    const f = factors[r];
    for (let i = from; i < width; i++) target[i] -= f * rows[r * width + i];
  }
}

/** The transpose of a row-major matrix [rows, columns], in tiles that stay in the cache. */
export function transposed<T extends Float32Array | Float64Array>(
  matrix: T,
  rows: number,
  columns: number,
): T {
  const TILE = 8;
  const out = new (matrix.constructor as new (length: number) => T)(matrix.length);
  for (let i0 = 0; i0 < rows; i0 += TILE)
    for (let j0 = 0; j0 < columns; j0 += TILE) {
      const [iEnd, jEnd] = [Math.min(i0 + TILE, rows), Math.min(j0 + TILE, columns)];
      for (let j = j0; j < jEnd; j++)
        for (let i = i0; i < iEnd; i++) out[j * rows + i] = matrix[i * columns + j];
    }
  return out;
}
