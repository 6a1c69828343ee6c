/**
 * Host tensors: plain data, dense, row-major. There are no strides: a {@link Tensor} is a dtype, a shape
 * and a typed array, and whoever wants another layout makes a copy.
 */
import { NijimiError } from "../errors.ts";
import { allocate, type DataOf, type DType } from "./dtype.ts";

/** A dense row-major array on the host. `data.length` is the product of `shape`. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: DataOf<D>;
}

/** Parameters of a model by dotted path, e.g. `"conv_in.weight"`: torch's state dict. */
export type Parameters = Readonly<Record<string, Tensor>>;

/** Number of elements of a shape; 1 for a scalar `[]`. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/**
 * A tensor over `data`, which it does not copy.
 *
 * @throws NijimiError `shape` when the number of elements does not fit, or a dimension is not a whole number ≥ 0
 * @example
 * const x = tensor("float32", [2, 3], new Float32Array(6));
 */
export function tensor<D extends DType>(
  dtype: D,
  shape: readonly number[],
  data: DataOf<D>,
): Tensor<D> {
  if (!shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0))
    throw new NijimiError("shape", `tensor: dimensions must be whole numbers ≥ 0; got [${shape}].`);
  if (data.length !== sizeOf(shape))
    throw new NijimiError(
      "shape",
      `tensor: shape [${shape}] needs ${sizeOf(shape)} elements; got ${data.length}.`,
    );
  return { dtype, shape, data };
}

/** A tensor of zeros. */
export function zeros<D extends DType>(dtype: D, shape: readonly number[]): Tensor<D> {
  return tensor(dtype, shape, allocate(dtype, sizeOf(shape)));
}

/** A float32 tensor of the given numbers. */
export function float32(shape: readonly number[], values: ArrayLike<number>): Tensor<"float32"> {
  return tensor(
    "float32",
    shape,
    values instanceof Float32Array ? values : Float32Array.from(values),
  );
}

/** An int64 tensor of the given whole numbers. */
export function int64(
  shape: readonly number[],
  values: ArrayLike<number | bigint>,
): Tensor<"int64"> {
  return tensor("int64", shape, BigInt64Array.from(Array.from(values, (value) => BigInt(value))));
}
