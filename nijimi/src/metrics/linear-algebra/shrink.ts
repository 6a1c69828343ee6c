/** The step that blocked factorisations of symmetric matrices share: the rest of the matrix after a panel. */
import type { Product } from "./product.ts";

/** Rows updated at a time: bounds what a product allocates. */
const STRIP = 512;

/** Rank `inner` change left · rightᵀ of a matrix of `size` rows. */
export interface LowRank {
  /** [size, inner] */
  readonly left: Float64Array;
  /** [size, inner] */
  readonly right: Float64Array;
  readonly inner: number;
}

/**
 * Drops the first `width` rows and columns of a [size, size] matrix and subtracts a low-rank change from what is
 * left, in place: afterwards the first (size − width)² elements of `matrix` hold the smaller matrix, densely.
 *
 * @param upperOnly leave what is below the diagonal undefined, which saves a third of the work
 */
export async function shrink(
  matrix: Float64Array,
  size: number,
  width: number,
  { left, right, inner }: LowRank,
  product: Product,
  upperOnly = false,
): Promise<void> {
  const rest = size - width;
  for (let start = 0; start < rest; start += STRIP) {
    const rows = Math.min(STRIP, rest - start);
    const first = upperOnly ? start : 0; // first column that is wanted
    const columns = rest - first;
    const change = await product(
      left.subarray((width + start) * inner, (width + start + rows) * inner),
      right.subarray((width + first) * inner, size * inner),
      rows,
      inner,
      columns,
    );
    subtractStrip(matrix, change, { size, width, start, rows, first, columns });
  }
}

interface Strip {
  readonly size: number;
  readonly width: number;
  /** First row of the smaller matrix, and rows. */
  readonly start: number;
  readonly rows: number;
  /** First column of the smaller matrix, and columns. */
  readonly first: number;
  readonly columns: number;
}

/** Not part of the loop above, since loops of functions that await are not compiled well. */
function subtractStrip(
  matrix: Float64Array,
  change: Float64Array,
  { size, width, start, rows, first, columns }: Strip,
): void {
  const rest = size - width;
  for (let i = 0; i < rows; i++) {
    // The target never lies behind the source, so nothing is overwritten before it is read.
    const from = (width + start + i) * size + width + first;
    const to = (start + i) * rest + first;
    const at = i * columns;
    for (let j = 0; j < columns; j++) matrix[to + j] = matrix[from + j] - change[at + j];
  }
}
