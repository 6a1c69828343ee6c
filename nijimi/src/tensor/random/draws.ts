/** How torch's CPU kernels turn words of the generator into uniform and normal numbers of each type. */
import { cast, toFloat64 } from "../convert.ts";
import type { DType } from "../dtype.ts";
import { sizeOf, tensor, type Tensor } from "../tensor.ts";
import { BLOCK, boxMullerFloat32, boxMullerFloat64, boxMullerHalf } from "./box-muller.ts";
import type { Mt19937 } from "./mt19937.ts";

/** Types that real numbers can be drawn in. */
export type DrawDType = Extract<DType, "float32" | "float64" | "float16" | "bfloat16">;

/** Bits of a uniform number; float64 takes two words, the others the low bits of one. */
const UNIFORM_BITS = { float32: 24, float16: 11, bfloat16: 8 } as const;

/** Uniform on [0, 1) with 53 bits. */
export function uniform53(engine: Mt19937): number {
  return engine.low53() * 2 ** -53;
}

/** Uniform on [0, 1) with the bits of a type. */
export function uniformOf(engine: Mt19937, dtype: DrawDType): number {
  if (dtype === "float64") return uniform53(engine);
  const steps = 1 << UNIFORM_BITS[dtype];
  return (engine.uint32() & (steps - 1)) / steps;
}

/** A tensor whose elements are drawn one after the other and rounded to the type. */
export function drawEach<D extends DType>(
  shape: readonly number[],
  dtype: D,
  next: () => number,
): Tensor<D> {
  const size = sizeOf(shape);
  const out = dtype === "float64" ? new Float64Array(size) : new Float32Array(size);
  for (let i = 0; i < size; i++) out[i] = next();
  return cast(floats(shape, out), dtype);
}

/**
 * At least 16 normals in blocks of 16. Torch draws all uniforms first and, when the size is no multiple of 16, draws
 * the last 16 again: the words of the incomplete block are then skipped.
 */
export function drawNormalBlocks<D extends DrawDType>(
  engine: Mt19937,
  shape: readonly number[],
  mean: number,
  std: number,
  dtype: D,
): Tensor<D> {
  const size = sizeOf(shape);
  const out = dtype === "float64" ? new Float64Array(size) : new Float32Array(size);
  const block = blockDrawer(engine, out, mean, std, dtype);
  for (let offset = 0; offset + BLOCK <= size; offset += BLOCK) block(offset);
  if (size % BLOCK !== 0) {
    for (let i = 0; i < size % BLOCK; i++) uniformOf(engine, dtype);
    block(size - BLOCK);
  }
  return cast(floats(shape, out), dtype);
}

/** A function that draws `out[offset … offset + 15]`. */
function blockDrawer(
  engine: Mt19937,
  out: Float32Array | Float64Array,
  mean: number,
  std: number,
  dtype: DrawDType,
): (offset: number) => void {
  if (dtype === "float32") {
    const words = new Uint32Array(BLOCK);
    const [mean32, std32] = [Math.fround(mean), Math.fround(std)];
    return (offset) => {
      engine.fill(words);
      boxMullerFloat32(words, out as Float32Array, offset, mean32, std32);
    };
  }
  return (offset) => {
    for (let i = offset; i < offset + BLOCK; i++) out[i] = uniformOf(engine, dtype);
    if (dtype === "float64") boxMullerFloat64(out as Float64Array, offset, mean, std);
    else boxMullerHalf(dtype, out as Float32Array, offset, mean, std);
  };
}

/** A number as the type holds it. */
export function roundTo(dtype: DrawDType, value: number): number {
  if (dtype === "float64") return value;
  if (dtype === "float32") return Math.fround(value);
  return toFloat64(cast(floats([1], Float32Array.of(value)), dtype))[0];
}

function floats(shape: readonly number[], data: Float32Array | Float64Array): Tensor {
  return data instanceof Float64Array
    ? tensor("float64", shape, data)
    : tensor("float32", shape, data);
}
