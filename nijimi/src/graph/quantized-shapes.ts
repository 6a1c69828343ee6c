/** Shape rules of the products with quantised weights. */
import { NijimiError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import { type Dim, multiplyDims, sameDim, sameShape, type Shape, showShape } from "./dim.ts";
import type { Sym, WeightBlocks } from "./primitives.ts";

/** Shape and dtype of a result. */
export interface Typed {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Refuses unless `fits`; a mistake here is one of a checkpoint's quantised weights. */
function demand(fits: boolean, name: string, inputs: readonly Sym[], expected: string): void {
  if (fits) return;
  const got = inputs.map(({ dtype, shape }) => `${dtype}${showShape(shape)}`).join(" and ");
  throw new NijimiError("shape", `${name}: got ${got}; expected ${expected}.`);
}

/** Values of N columns, with a scale and perhaps a bias for each. */
function fitsColumns(values: Sym, scale: Sym, bias: Sym | undefined): boolean {
  const columns = [values.shape[1]];
  return (
    values.dtype === "int8" &&
    values.shape.length === 2 &&
    sameShape(scale.shape, columns) &&
    (bias === undefined || sameShape(bias.shape, columns))
  );
}

/** Blocks of rows with `depth` numbers each, the last filled up. */
function fitsBlocks(
  [values, scale]: readonly Sym[],
  depth: Dim,
  { bits, blockSize }: WeightBlocks,
): boolean {
  const [rows, blocks, bytes] = values.shape;
  return (
    values.dtype === "uint8" &&
    bytes === (blockSize * bits) / 8 &&
    typeof depth === "number" &&
    blocks === Math.ceil(depth / blockSize) &&
    sameShape(scale.shape, [rows, blocks])
  );
}

function showBlocks({ bits, blockSize }: WeightBlocks): string {
  return `uint8 [N, K/${blockSize}, ${(blockSize * bits) / 8}] and [N, K/${blockSize}]`;
}

export const QUANTIZED_SHAPES = {
  after: ([{ shape, dtype }]: readonly Sym[]): Typed => ({ shape, dtype }),
  dequantize: (inputs: readonly Sym[], { axis }: { readonly axis: number }): Typed => {
    const [values, scale] = inputs;
    const fits =
      values.dtype === "int8" &&
      axis < values.shape.length &&
      sameShape(scale.shape, [values.shape[axis]]);
    demand(fits, "dequantize", inputs, `int8 values and a scale along axis ${axis}`);
    return { shape: values.shape, dtype: "float32" };
  },
  dequantizeBlocks: (
    inputs: readonly Sym[],
    { depth, ...blocks }: WeightBlocks & { readonly depth: number },
  ): Typed => {
    demand(fitsBlocks(inputs, depth, blocks), "dequantizeBlocks", inputs, showBlocks(blocks));
    return { shape: [inputs[0].shape[0], depth], dtype: "float32" };
  },
  integerMatmul: (inputs: readonly Sym[]): Typed => {
    const [x, values, scale, bias] = inputs;
    const depth = x.shape.at(-1) ?? 0;
    const fits = fitsColumns(values, scale, bias) && sameDim(depth, values.shape[0]);
    demand(fits, "integerMatmul", inputs, "[…, K], int8 [K, N], [N] and perhaps [N]");
    return { shape: [...x.shape.slice(0, -1), values.shape[1]], dtype: "float32" };
  },
  integerConv: (inputs: readonly Sym[]): Typed => {
    const [x, pixels, values, scale, bias] = inputs;
    const fits =
      x.shape.length === 4 &&
      pixels.shape.length === 3 &&
      pixels.dtype === "int64" &&
      fitsColumns(values, scale, bias) &&
      sameDim(multiplyDims(x.shape[1], pixels.shape[2]), values.shape[0]);
    const expected = "[N, C, H, W], int64 [H', W', T], int8 [T·C, O], [O] and perhaps [O]";
    demand(fits, "integerConv", inputs, expected);
    const [rows, columns] = pixels.shape;
    return { shape: [x.shape[0], values.shape[1], rows, columns], dtype: "float32" };
  },
  blockMatmul: ([x, ...weight]: readonly Sym[], blocks: WeightBlocks): Typed => {
    const depth = x.shape.at(-1) ?? 0;
    const expected = `[…, K], ${showBlocks(blocks)}`;
    demand(fitsBlocks(weight, depth, blocks), "blockMatmul", [x, ...weight], expected);
    return { shape: [...x.shape.slice(0, -1), weight[0].shape[0]], dtype: "float32" };
  },
} as const;
