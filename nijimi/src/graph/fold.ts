/** Folding of small constant subexpressions, so that gradients do not carry chains of scalar arithmetic. */
import { allocate } from "../tensor/dtype.ts";
import { sizeOf, type Tensor, tensor } from "../tensor/tensor.ts";
import { isStatic } from "./dim.ts";
import { isPrimitive, type PrimitiveName, type Sym } from "./primitives.ts";

/** Larger results are left to the runtime. */
const LARGEST_FOLDED = 1024;

type Scalar = (a: number, b: number) => number;

/** What a primitive does to numbers; primitives that are not here are not folded. */
const SCALAR_FUNCTIONS: Partial<Record<PrimitiveName, Scalar>> = {
  neg: (a) => -a,
  exp: (a) => Math.exp(a),
  log: (a) => Math.log(a),
  sqrt: (a) => Math.sqrt(a),
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  pow: (a, b) => a ** b,
  max: (a, b) => Math.max(a, b),
  min: (a, b) => Math.min(a, b),
};

/** The value of `sym` when its inputs are constants and it is worth folding; undefined otherwise. */
export function fold(sym: Sym): Tensor | undefined {
  if (sym.inputs.length === 0 || !isStatic(sym.shape) || sizeOf(sym.shape) > LARGEST_FOLDED)
    return undefined;
  const values: Tensor[] = [];
  for (const input of sym.inputs) {
    if (!isPrimitive(input, "constant")) return undefined;
    values.push(input.attributes.value);
  }
  const [first] = values;
  if (isPrimitive(sym, "reshape"))
    return tensor(first.dtype, sym.shape as readonly number[], first.data);
  if (sym.dtype !== "float32") return undefined;
  if (isPrimitive(sym, "cast"))
    return first.dtype === "int64" ? elementwise(sym, values, (a) => a) : undefined;
  const fn = SCALAR_FUNCTIONS[sym.primitive];
  return fn === undefined ? undefined : elementwise(sym, values, fn);
}

function elementwise(sym: Sym, values: readonly Tensor[], fn: Scalar): Tensor {
  const shape = sym.shape as readonly number[];
  const result = allocate("float32", sizeOf(shape));
  const [a, b] = values.map((value) => broadcastReader(value, shape));
  for (let i = 0; i < result.length; i++) result[i] = fn(a(i), b?.(i) ?? 0);
  return tensor("float32", shape, result);
}

/** Reads element i of `value` broadcast to `shape`. */
function broadcastReader(value: Tensor, shape: readonly number[]): (i: number) => number {
  const offset = shape.length - value.shape.length;
  const strides = shape.map(() => 0);
  for (let axis = shape.length - 1, stride = 1; axis >= offset; axis--) {
    const size = value.shape[axis - offset];
    strides[axis] = size === 1 ? 0 : stride;
    stride *= size;
  }
  return (i) => {
    let rest = i;
    let at = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += (rest % shape[axis]) * strides[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    return Number(value.data[at]);
  };
}
