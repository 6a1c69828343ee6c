/**
 * Shapes of host tensors: what host code needs around networks. Nothing here has strides; what says "view" shares
 * memory, everything else copies.
 */
import { NijimiError } from "../errors.ts";
import { allocate, type DataOf, type DType } from "./dtype.ts";
import { sizeOf, tensor, type Tensor } from "./tensor.ts";

/** True when two shapes are equal. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/**
 * The same data in another shape (a view). One dimension may be −1 and is then computed.
 *
 * @example
 * reshape(x, [x.shape[0], -1]); // [B, C, H, W] → [B, C·H·W]
 */
export function reshape<D extends DType>(x: Tensor<D>, shape: readonly number[]): Tensor<D> {
  const size = x.data.length;
  const known = shape.filter((dim) => dim !== -1);
  const rest = sizeOf(known);
  const open = shape.length - known.length;
  if (
    open > 1 ||
    (open === 1 && (rest === 0 || size % rest !== 0)) ||
    (open === 0 && rest !== size)
  )
    throw new NijimiError(
      "shape",
      `reshape: [${x.shape}] has ${size} elements and does not fit [${shape}].`,
    );
  return tensor(
    x.dtype,
    shape.map((dim) => (dim === -1 ? size / rest : dim)),
    x.data,
  );
}

/**
 * Rows `start ≤ i < end` along the first axis, as a view: writing to it writes to `x`.
 *
 * @param start negative counts from the end
 * @param end default the number of rows
 */
export function sliceRows<D extends DType>(x: Tensor<D>, start: number, end?: number): Tensor<D> {
  const rows = rowsOf(x, "sliceRows");
  const from = start < 0 ? rows + start : start;
  const to = end === undefined ? rows : end < 0 ? rows + end : end;
  if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || from > to || to > rows)
    throw new NijimiError(
      "shape",
      `sliceRows: rows ${start} to ${end ?? rows} are not within the ${rows} rows of [${x.shape}].`,
    );
  const stride = sizeOf(x.shape.slice(1));
  return tensor(
    x.dtype,
    [to - from, ...x.shape.slice(1)],
    x.data.subarray(from * stride, to * stride) as DataOf<D>,
  );
}

/** Row `index` along the first axis without that axis, as a view: `[B, C, H, W]` → `[C, H, W]`. */
export function row<D extends DType>(x: Tensor<D>, index: number): Tensor<D> {
  const at = index < 0 ? rowsOf(x, "row") + index : index;
  return reshape(sliceRows(x, at, at + 1), x.shape.slice(1));
}

/** Tensors one after the other along the first axis. The other dimensions and the types must agree. */
export function concatenate<D extends DType>(parts: readonly Tensor<D>[]): Tensor<D> {
  const [first] = parts;
  if (first === undefined)
    throw new NijimiError("shape", "concatenate: expected at least one tensor; got none.");
  for (const part of parts) {
    if (part.dtype !== first.dtype)
      throw new NijimiError(
        "dtype",
        `concatenate: all tensors must be ${first.dtype}; got ${part.dtype}.`,
      );
    if (part.shape.length === 0 || !sameShape(part.shape.slice(1), first.shape.slice(1)))
      throw new NijimiError(
        "shape",
        `concatenate: [${part.shape}] does not fit [${first.shape}] beyond the first axis.`,
      );
  }
  const rows = parts.reduce((sum, part) => sum + part.shape[0], 0);
  const out = allocate(first.dtype, rows * sizeOf(first.shape.slice(1)));
  let offset = 0;
  for (const part of parts) {
    (out as Float32Array).set(part.data as Float32Array, offset);
    offset += part.data.length;
  }
  return tensor(first.dtype, [rows, ...first.shape.slice(1)], out);
}

/** Tensors of one shape along a new first axis: n × `[C, H, W]` → `[n, C, H, W]`. */
export function stack<D extends DType>(parts: readonly Tensor<D>[]): Tensor<D> {
  return concatenate(parts.map((part) => reshape(part, [1, ...part.shape])));
}

/** `x` `times` times along the first axis. */
export function repeatRows<D extends DType>(x: Tensor<D>, times: number): Tensor<D> {
  return concatenate(Array.from({ length: times }, () => x));
}

/**
 * A copy with its axes in another order: output axis i is input axis `order[i]`.
 *
 * @example
 * transpose(x, [0, 2, 3, 1]); // NCHW → NHWC
 */
export function transpose<D extends DType>(x: Tensor<D>, order: readonly number[]): Tensor<D> {
  const rank = x.shape.length;
  if (
    order.length !== rank ||
    new Set(order).size !== rank ||
    !order.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < rank)
  )
    throw new NijimiError(
      "shape",
      `transpose: [${order}] is not an order of the ${rank} axes of [${x.shape}].`,
    );
  const shape = order.map((axis) => x.shape[axis]);
  const inputStrides = stridesOf(x.shape);
  const strides = order.map((axis) => inputStrides[axis]);
  const out = allocate(x.dtype, x.data.length);
  copyStrided(x.data as Float32Array, out as Float32Array, shape, strides);
  return tensor(x.dtype, shape, out);
}

/** Walks `out` in order; an odometer over the outer axes, a plain loop over the last one. */
function copyStrided(
  source: Float32Array,
  out: Float32Array,
  shape: readonly number[],
  strides: readonly number[],
): void {
  const last = shape.length - 1;
  const width = shape[last] ?? 1;
  const step = strides[last] ?? 1;
  const index = shape.map(() => 0);
  let offset = 0;
  for (let written = 0; written < out.length;) {
    for (let i = 0; i < width; i++) out[written++] = source[offset + i * step];
    for (let axis = last - 1; axis >= 0; axis--) {
      offset += strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= shape[axis] * strides[axis];
      index[axis] = 0;
    }
  }
}

/** Elements between neighbours along each axis of a row-major array. */
export function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
}

function rowsOf(x: Tensor, what: string): number {
  if (x.shape.length === 0) throw new NijimiError("shape", `${what}: a scalar has no first axis.`);
  return x.shape[0];
}
