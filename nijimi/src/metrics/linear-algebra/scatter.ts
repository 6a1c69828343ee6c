/**
 * Σ (x − c)(x − c)ᵀ of rows x as they come: the bulk of a covariance. Rows are gathered as columns of a matrix, which is
 * multiplied by its transpose when it is full; what lies below the diagonal is mostly left out.
 */
import type { Floats, Product } from "./product.ts";

/** Rows that are gathered: enough for the product to run at full speed, and no power of two, for the cache's sake. */
const CAPACITY = 2560;
/** Rows of the result computed at a time, each from the start of its diagonal block. */
const STRIP = 256;

/** State of a sum; plain data. */
export interface Scatter {
  /** c, [D]. */
  readonly centre: Float64Array;
  /** Σ (x − c), [D]. */
  readonly sums: Float64Array;
  /** Σ (x − c)(x − c)ᵀ of the rows that are multiplied out, [D, D], on and above the diagonal. */
  readonly products: Float64Array;
  /** x − c of the rows gathered, transposed, [D, capacity]. */
  gathered: Float64Array;
  /** Rows gathered. */
  filled: number;
}

/** A sum over no rows. */
export function emptyScatter(centre: Float64Array): Scatter {
  const dimensions = centre.length;
  return {
    centre,
    sums: new Float64Array(dimensions),
    products: new Float64Array(dimensions * dimensions),
    gathered: new Float64Array(0),
    filled: 0,
  };
}

/** Multiplications that adding so many rows will take. */
export function workOfAdding({ centre, filled }: Scatter, count: number): number {
  const rows = Math.floor((filled + count) / CAPACITY) * CAPACITY;
  return rows * centre.length ** 2;
}

/** Adds rows [count, D]. */
export async function addRows(
  scatter: Scatter,
  rows: Floats,
  count: number,
  product: Product,
): Promise<void> {
  const dimensions = scatter.centre.length;
  if (scatter.gathered.length === 0) scatter.gathered = new Float64Array(dimensions * CAPACITY);
  for (let done = 0; done < count;) {
    const taken = Math.min(CAPACITY - scatter.filled, count - done);
    gather(scatter, rows, done, taken);
    done += taken;
    scatter.filled += taken;
    if (scatter.filled === CAPACITY) await multiplyOut(scatter, product);
  }
}

/** Multiplies out what is gathered, so that the products are those of all rows. */
export async function multiplyOut(scatter: Scatter, product: Product): Promise<void> {
  const { centre, products, filled } = scatter;
  if (filled === 0) return;
  const dimensions = centre.length;
  const columns = filled === CAPACITY ? scatter.gathered : packed(scatter);
  for (let start = 0; start < dimensions; start += STRIP) {
    const end = Math.min(start + STRIP, dimensions);
    const strip = columns.subarray(start * filled, end * filled);
    const fromDiagonal = columns.subarray(start * filled);
    const block = await product(strip, fromDiagonal, end - start, filled, dimensions - start);
    addStrip(products, block, start, end, dimensions);
  }
  scatter.filled = 0;
}

/** A function of its own, since loops of functions that await are not compiled well. */
function addStrip(
  into: Float64Array,
  block: Float64Array,
  start: number,
  end: number,
  dimensions: number,
): void {
  const columns = dimensions - start;
  for (let i = 0; i < end - start; i++) {
    const to = (start + i) * dimensions + start;
    const from = i * columns;
    for (let j = 0; j < columns; j++) into[to + j] += block[from + j];
  }
}

/** Transposes rows into the columns that are free, some at a time, and sums them. */
function gather(
  { centre, gathered, sums, filled }: Scatter,
  rows: Floats,
  from: number,
  count: number,
): void {
  const TILE = 32;
  const dimensions = centre.length;
  const shift = filled - from;
  for (let start = from; start < from + count; start += TILE) {
    const end = Math.min(start + TILE, from + count);
    for (let j = 0; j < dimensions; j++) {
      const to = j * CAPACITY + shift;
      const c = centre[j];
      let sum = 0;
      for (let i = start; i < end; i++) {
        const value = rows[i * dimensions + j] - c;
        gathered[to + i] = value;
        sum += value;
      }
      sums[j] += sum;
    }
  }
}

/** The filled columns without the free ones, [D, filled]. */
function packed({ centre, gathered, filled }: Scatter): Float64Array {
  const out = new Float64Array(centre.length * filled);
  for (let j = 0; j < centre.length; j++)
    out.set(gathered.subarray(j * CAPACITY, j * CAPACITY + filled), j * filled);
  return out;
}
