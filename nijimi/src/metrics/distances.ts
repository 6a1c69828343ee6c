/** Euclidean distances between the rows of two matrices, some rows at a time, in float64. */
import type { Product } from "./linear-algebra/product.ts";
import { type Matrix, squaredNorms } from "./matrix.ts";

/** Elements of a block of distances: 32 MB. */
const BLOCK_ELEMENTS = 4 * 1024 * 1024;

/**
 * Calls `visit` for every row of `x` in order with its distances to all rows of `y`, which are only valid during
 * the call.
 */
export async function eachDistanceRow(
  x: Matrix<Float64Array>,
  y: Matrix<Float64Array>,
  product: Product,
  visit: (row: number, distances: Float64Array) => void,
): Promise<void> {
  const [xx, yy] = [squaredNorms(x), squaredNorms(y)];
  const step = Math.max(1, Math.floor(BLOCK_ELEMENTS / y.rows));
  for (let start = 0; start < x.rows; start += step) {
    const rows = Math.min(step, x.rows - start);
    const part = x.data.subarray(start * x.columns, (start + rows) * x.columns);
    const block = await product(part, y.data, rows, x.columns, y.rows);
    for (let i = 0; i < rows; i++) {
      const distances = block.subarray(i * y.rows, (i + 1) * y.rows);
      for (let j = 0; j < y.rows; j++)
        distances[j] = Math.sqrt(Math.max(0, xx[start + i] + yy[j] - 2 * distances[j]));
      visit(start + i, distances);
    }
  }
}

/**
 * The k smallest of `values` with their indices, nearest first.
 *
 * @param skip an index that is left out: a point is not its own neighbour
 */
export function smallest(
  values: Float64Array,
  k: number,
  skip = -1,
): { indices: number[]; distances: number[] } {
  const indices: number[] = [];
  const distances: number[] = [];
  for (let j = 0; j < values.length; j++) {
    if (j === skip || (indices.length === k && values[j] >= distances[k - 1])) continue;
    let at = Math.min(indices.length, k - 1);
    while (at > 0 && distances[at - 1] > values[j]) {
      distances[at] = distances[at - 1];
      indices[at] = indices[at - 1];
      at--;
    }
    distances[at] = values[j];
    indices[at] = j;
  }
  return { indices, distances };
}
