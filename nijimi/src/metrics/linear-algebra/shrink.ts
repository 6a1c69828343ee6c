/** The rest of a symmetric matrix after a panel of a blocked factorisation. */
import { mirrorUpper } from "./mirror.ts";
import type { Product } from "./product.ts";

/** Rows updated at a time: bounds what a product allocates. */
const STRIP = 256;

/** Rank `inner` change left · rightᵀ of a matrix of `size` rows. */
export interface LowRank {
  /** [size, inner] */
  readonly left: Float64Array;
  /** [size, inner] */
  readonly right: Float64Array;
  readonly inner: number;
}

/**
 * Drops the first `width` rows and columns of a symmetric [size, size] matrix and subtracts a low-rank symmetric
 * change from what is left, in place: afterwards the first (size − width)² elements of `matrix` hold the smaller
 * matrix, densely. What lies below the diagonal is copied, not computed.
 */
export async function shrink(
  matrix: Float64Array,
  size: number,
  width: number,
  { left, right, inner }: LowRank,
  product: Product,
): Promise<void> {
  const rest = size - width;
  for (let start = 0; start < rest; start += STRIP) {
    const rows = Math.min(STRIP, rest - start);
    const change = await product(
      left.subarray((width + start) * inner, (width + start + rows) * inner),
      right.subarray((width + start) * inner, size * inner),
      rows,
      inner,
      rest - start,
    );
    subtractStrip(matrix, change, { size, width, start, rows });
  }
  mirrorUpper(matrix, rest);
}

interface Strip {
  readonly size: number;
  readonly width: number;
  /** First row of the smaller matrix, and its first column; and rows. */
  readonly start: number;
  readonly rows: number;
}

/** Not part of the loop above, since loops of functions that await are not compiled well. */
function subtractStrip(
  matrix: Float64Array,
  change: Float64Array,
  { size, width, start, rows }: Strip,
): void {
  const rest = size - width;
  const columns = rest - start;
  for (let i = 0; i < rows; i++) {
    // The target never lies behind the source, so nothing is overwritten before it is read.
    const from = (width + start + i) * size + width + start;
    const to = (start + i) * rest + start;
    const at = i * columns;
    for (let j = 0; j < columns; j++) matrix[to + j] = matrix[from + j] - change[at + j];
  }
}
