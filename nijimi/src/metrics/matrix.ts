/** Rows of numbers out of tensors: how feature vectors come into the metrics. */
import { NijimiError } from "../errors.ts";
import { isFloat, toFloat32, toFloat64 } from "../tensor/convert.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Floats } from "./linear-algebra/product.ts";

/** A row-major matrix. */
export interface Matrix<T extends Floats = Floats> {
  readonly rows: number;
  readonly columns: number;
  readonly data: T;
}

/**
 * A tensor [N, D] of floats as a matrix; float64 stays, everything shorter becomes float32, exactly.
 *
 * @param what names the tensor in errors
 * @throws NijimiError `shape` for another rank, `dtype` for integers, `numeric` for NaN and infinities
 */
export function matrixOf(t: Tensor, what: string): Matrix {
  if (t.shape.length !== 2)
    throw new NijimiError(
      "shape",
      `${what}: got [${t.shape}]; expected [N, D], one row per sample.`,
    );
  const data = floatsOf(t, what);
  const [rows, columns] = t.shape;
  refuseNonFinite(data, columns, what);
  return { rows, columns, data };
}

/** The numbers of a tensor of floats: float64 as they are, everything shorter as float32. */
export function floatsOf(t: Tensor, what: string): Floats {
  if (!isFloat(t.dtype))
    throw new NijimiError("dtype", `${what}: got ${t.dtype}; expected floats.`);
  return t.dtype === "float64" ? toFloat64(t) : toFloat32(t);
}

/** @throws NijimiError `numeric` naming row and column of the first NaN or infinity */
export function refuseNonFinite(data: Floats, columns: number, what: string): void {
  if (Number.isFinite(sum(data))) return;
  const bad = data.findIndex((value) => !Number.isFinite(value));
  throw new NijimiError(
    "numeric",
    `${what}: row ${Math.floor(bad / columns)}, column ${bad % columns} is ${data[bad]}; expected finite numbers.`,
  );
}

/** {@link matrixOf} in float64. */
export function matrix64(t: Tensor, what: string): Matrix<Float64Array> {
  const { rows, columns, data } = matrixOf(t, what);
  return { rows, columns, data: data instanceof Float64Array ? data : new Float64Array(data) };
}

/** Two feature sets in one precision. @throws NijimiError `shape` when their dimensions differ */
export function matrixPair(
  a: Tensor,
  b: Tensor,
  names: readonly [string, string],
): [Matrix, Matrix] {
  const first = matrixOf(a, names[0]);
  const second = matrixOf(b, names[1]);
  sameColumns(first, second, names);
  if (first.data.constructor === second.data.constructor) return [first, second];
  return [matrix64(a, names[0]), matrix64(b, names[1])];
}

/** @throws NijimiError `shape` when the dimensions differ */
export function sameColumns(a: Matrix, b: Matrix, names: readonly [string, string]): void {
  if (a.columns === b.columns) return;
  throw new NijimiError(
    "shape",
    `${names[0]} have ${a.columns} dimensions, ${names[1]} ${b.columns}; expected features of the same network and layer.`,
  );
}

/** The given rows, in the given order. */
export function takeRows({ columns, data }: Matrix, indices: ArrayLike<number>): Matrix {
  const out = new (data.constructor as new (length: number) => Floats)(indices.length * columns);
  for (let i = 0; i < indices.length; i++)
    out.set(data.subarray(indices[i] * columns, (indices[i] + 1) * columns), i * columns);
  return { rows: indices.length, columns, data: out };
}

/** NaN or infinite when an element is. */
function sum(data: Floats): number {
  let total = 0;
  for (let i = 0; i < data.length; i++) total += data[i];
  return total;
}

/** |row|² of every row. */
export function squaredNorms({ rows, columns, data }: Matrix): Float64Array {
  const norms = new Float64Array(rows);
  for (let i = 0; i < rows; i++)
    for (let j = i * columns; j < (i + 1) * columns; j++) norms[i] += data[j] * data[j];
  return norms;
}
