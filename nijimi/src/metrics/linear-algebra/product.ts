/**
 * The one operation that the metrics are built on: products of row-major matrices. Rows times rows, a·bᵀ, is what
 * covariances, Gram matrices and distances need; factorisations also take a·b. Where the product runs is passed in:
 * on the engine for large matrices, here otherwise.
 */
import { transposed } from "./row-combinations.ts";

/** Float32Array or Float64Array: the element type decides the precision of the product. */
export type Floats = Float32Array | Float64Array;

/** `"abT"`: a·bᵀ, with b [columns, inner]. `"ab"`: a·b, with b [inner, columns]. */
export type ProductForm = "abT" | "ab";

/**
 * a [rows, inner] times b → [rows, columns], in the precision of the operands, which stay as they are.
 *
 * @param form how b lies @default "abT"
 */
export type Product = <T extends Floats>(
  a: T,
  b: T,
  rows: number,
  inner: number,
  columns: number,
  form?: ProductForm,
) => Promise<T>;

/** {@link Product} in TypeScript, summed in float64. A few GFLOPS: right for small matrices and for reference. */
export const hostProduct: Product = async (a, second, rows, inner, columns, form = "abT") => {
  const b = form === "ab" ? transposed(second, inner, columns) : second;
  const out = new (a.constructor as new (length: number) => typeof a)(rows * columns);
  const evenRows = rows - (rows % 2);
  const evenColumns = columns - (columns % 2);
  for (let i = 0; i < evenRows; i += 2)
    for (let j = 0; j < evenColumns; j += 2) multiplyTile(a, b, out, i, j, inner, columns);
  for (let i = 0; i < rows; i++)
    for (let j = i < evenRows ? evenColumns : 0; j < columns; j++)
      out[i * columns + j] = dot(a, b, i * inner, j * inner, inner);
  return out;
};

/** Two rows times two rows: each element read serves two products. */
function multiplyTile(
  a: Floats,
  b: Floats,
  out: Floats,
  i: number,
  j: number,
  inner: number,
  columns: number,
): void {
  let [s00, s01, s10, s11] = [0, 0, 0, 0];
  const [a0, a1, b0, b1] = [i * inner, (i + 1) * inner, j * inner, (j + 1) * inner];
  for (let k = 0; k < inner; k++) {
    const x0 = a[a0 + k];
    const x1 = a[a1 + k];
    const y0 = b[b0 + k];
    const y1 = b[b1 + k];
    s00 += x0 * y0;
    s01 += x0 * y1;
    s10 += x1 * y0;
    s11 += x1 * y1;
  }
  const at = i * columns + j;
  out[at] = s00;
  out[at + 1] = s01;
  out[at + columns] = s10;
  out[at + columns + 1] = s11;
}

/** Σ a[aStart + k]·b[bStart + k] for k < length. */
export function dot(a: Floats, b: Floats, aStart: number, bStart: number, length: number): number {
  let sum = 0;
  for (let k = 0; k < length; k++) sum += a[aStart + k] * b[bStart + k];
  return sum;
}
