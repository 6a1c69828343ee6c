/**
 * Quantised weights in a traced graph: products and convolutions whose weight is a quantised parameter become
 * products with integers; every other use of such a parameter gets the numbers that it stands for.
 *
 * A pass over the trace, so that models, adapters and hooks are written for plain weights: LoRA's factors are inputs
 * and stay float beside the integer product.
 *
 * A convolution is a product of pixels side by side: `integerConv` takes, for each output pixel and kernel position,
 * the number of the input pixel there; H·W, one more than the last, stands for the padding.
 */
import { int64 } from "../tensor/tensor.ts";
import { type Dim, multiplyDims, sameShape } from "./dim.ts";
import {
  add,
  and,
  apply,
  cast,
  constant,
  dimension,
  iota,
  less,
  lessEqual,
  matmul,
  mul,
  parameter,
  reshape,
  transpose,
  where,
} from "./ops.ts";
import { type ConvGeometry, isPrimitive, type Sym, type WeightBlocks } from "./primitives.ts";
import type { Graph } from "./trace.ts";
import { topologicalOrder } from "./traverse.ts";

/**
 * How a weight [O, I, …kernel] is held.
 *
 * - `rows`: int8 [kernel·I, O], a scale per output; activations are quantised as well.
 * - `channels`: int8 [O, I, …kernel], a scale per output.
 * - `blocks`: uint8 [O, I/size, bytes], a scale per block; matrices only.
 * - `halves`: as it is, in 16 bits.
 *
 * In the graph the parameters `NAME.values` and `NAME.scale` stand for it; for halves, NAME in its own dtype.
 */
export type QuantizedForm =
  | { readonly form: "rows" }
  | { readonly form: "channels" }
  | ({ readonly form: "blocks" } & WeightBlocks)
  | { readonly form: "halves"; readonly dtype: "float16" | "bfloat16" };

/** Forms of weights by the parameter's name. */
export type QuantizedForms = Readonly<Record<string, QuantizedForm>>;

type Weight = Sym<"parameter">;

/** How {@link quantizeWeights} writes products. */
export interface QuantizeOptions {
  /** Multiply integers and blocks; without, weights become floats at every run, for devices without such kernels. @default true */
  readonly integers?: boolean;
}

/** See the file's header. */
export function quantizeWeights(
  graph: Graph,
  forms: QuantizedForms,
  { integers = true }: QuantizeOptions = {},
): Graph {
  const rebuilt = new Map<Sym, Sym>();
  const now = (sym: Sym): Sym => rebuilt.get(sym) as Sym;
  for (const sym of topologicalOrder(graph.outputs.map(({ value }) => value))) {
    const inputs = sym.inputs.map(now);
    const made =
      isPrimitive(sym, "parameter") && sym.attributes.name in forms
        ? numbersOf(sym, forms[sym.attributes.name])
        : (productOf(sym, inputs, forms, integers) ?? withBias(sym, inputs));
    const isSame = inputs.every((input, i) => input === sym.inputs[i]);
    rebuilt.set(sym, made ?? (isSame ? sym : { ...sym, inputs }));
  }
  return {
    inputs: graph.inputs,
    outputs: graph.outputs.map(({ name, value }) => ({ name, value: now(value) })),
  };
}

/** A linear layer's product or a convolution with this weight; undefined for everything else. */
function productOf(
  sym: Sym,
  [x, , bias]: readonly Sym[],
  forms: QuantizedForms,
  integers: boolean,
): Sym | undefined {
  const weight = isPrimitive(sym, "conv") ? sym.inputs[1] : turnedWeight(sym);
  if (weight === undefined || !isPrimitive(weight, "parameter")) return undefined;
  const form = forms[weight.attributes.name];
  if (form === undefined) return undefined;
  const biases = bias === undefined ? [] : [bias];
  if (isPrimitive(sym, "conv"))
    return form.form === "rows" && integers && sym.attributes.groups === 1
      ? integerConvolution(sym, x, weight, biases)
      : { ...sym, inputs: [x, numbersOf(weight, form, x), ...biases] };
  if (form.form === "rows" && integers)
    return apply("integerMatmul", [x, ...parts(weight, form)], {});
  return form.form === "blocks" && integers
    ? apply("blockMatmul", [x, ...parts(weight, form)], blocksOf(form))
    : matmul(x, transpose(numbersOf(weight, form, x), [1, 0]));
}

function integerConvolution(
  { attributes, shape }: Sym<"conv">,
  x: Sym,
  weight: Weight,
  biases: readonly Sym[],
): Sym {
  const factors = [...parts(weight, { form: "rows" }), ...biases];
  const kernel = weight.attributes.shape.slice(2);
  const { strides, pads } = attributes;
  if ([...kernel, ...strides].every((size) => size === 1) && pads.every((size) => size === 0)) {
    // Next to a transformer's tokens the transpositions cancel.
    const pixels = apply("integerMatmul", [transpose(x, [0, 2, 3, 1]), ...factors], {});
    return transpose(pixels, [0, 3, 1, 2]);
  }
  const numbers = pixelNumbers(x, shape.slice(2), kernel, attributes);
  return apply("integerConv", [x, numbers, ...factors], {});
}

/** The matrix of a linear layer: a product with a transposed parameter. */
function turnedWeight(sym: Sym): Sym | undefined {
  const turned = isPrimitive(sym, "matmul") ? sym.inputs[1] : undefined;
  return turned !== undefined && isPrimitive(turned, "transpose") && turned.shape.length === 2
    ? turned.inputs[0]
    : undefined;
}

function blocksOf({ bits, blockSize }: WeightBlocks): WeightBlocks {
  return { bits, blockSize };
}

/** The bias of a linear layer goes into its integer product. */
function withBias(sym: Sym, [a, b]: readonly Sym[]): Sym | undefined {
  const fits =
    isPrimitive(sym, "add") &&
    isPrimitive(a, "integerMatmul") &&
    a.inputs.length === 3 &&
    isPrimitive(b, "parameter") &&
    sameShape(b.shape, a.shape.slice(-1));
  return fits ? apply("integerMatmul", [...a.inputs, b], {}) : undefined;
}

/** Parameters that hold a weight's integers and scales. */
function parts({ attributes: { name, shape } }: Weight, form: QuantizedForm): Sym[] {
  if (form.form === "halves") return [parameter(name, shape, form.dtype)];
  const [outputs, inner, ...kernel] = shape;
  const taps = kernel.reduce((product, size) => product * size, 1);
  if (form.form === "rows")
    return [
      parameter(`${name}.values`, [taps * inner, outputs], "int8"),
      parameter(`${name}.scale`, [outputs]),
    ];
  if (form.form === "channels")
    return [parameter(`${name}.values`, shape, "int8"), parameter(`${name}.scale`, [outputs])];
  const blocks = Math.ceil(inner / form.blockSize);
  return [
    parameter(`${name}.values`, [outputs, blocks, (form.blockSize * form.bits) / 8], "uint8"),
    parameter(`${name}.scale`, [outputs, blocks]),
  ];
}

/**
 * The weight as floats, computed in the graph at every run.
 *
 * @param x what it is multiplied with. Only waiting for that keeps the runtime from making floats of all layers'
 *   weights first, and from having them all in memory.
 */
function numbersOf(weight: Weight, form: QuantizedForm, x?: Sym): Sym {
  const [outputs, inner, ...kernel] = weight.attributes.shape;
  const [values, ...scale] = parts(weight, form);
  const inputs = [x === undefined ? values : apply("after", [values, x], {}), ...scale];
  if (form.form === "halves") return cast(inputs[0], "float32");
  if (form.form === "channels") return apply("dequantize", inputs, { axis: 0 });
  if (form.form === "blocks")
    return apply("dequantizeBlocks", inputs, { ...blocksOf(form), depth: inner });
  const rows = apply("dequantize", inputs, { axis: 1 });
  const last = reshape(rows, [...kernel, inner, outputs]);
  const k = kernel.length;
  return transpose(last, [k + 1, k, ...kernel.map((_, i) => i)]);
}

/** For each output pixel and kernel position the number of the input pixel, H·W outside: int64 [H', W', T]. */
function pixelNumbers(
  x: Sym,
  output: readonly Dim[],
  kernel: readonly number[],
  { strides, pads, dilations }: ConvGeometry,
): Sym {
  const [, , height, width] = x.shape;
  const taps = Array.from({ length: kernel[0] * kernel[1] }, (_, i) => [
    Math.floor(i / kernel[1]),
    i % kernel[1],
  ]);
  const along = (axis: 0 | 1, size: Dim) => {
    const offsets = taps.map((tap) => tap[axis] * dilations[axis] - pads[axis]);
    const shape = axis === 0 ? [output[0], 1, 1] : [1, output[1], 1];
    const first = mul(reshape(iota(output[axis]), shape), strides[axis]);
    const at = add(first, constant(int64([1, 1, taps.length], offsets)));
    return { at, inside: and(lessEqual(integer(0), at), less(at, dimension(size))) };
  };
  const rows = along(0, height);
  const columns = along(1, width);
  const number = add(mul(rows.at, dimension(width)), columns.at);
  return where(and(rows.inside, columns.inside), number, dimension(multiplyDims(height, width)));
}

function integer(value: number): Sym {
  return constant(int64([], [value]));
}
