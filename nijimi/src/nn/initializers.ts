/**
 * Initial values of parameters: torch's rules and the papers' own. Randomness is passed in.
 */
import { type Tensor, tensor, sizeOf } from "../tensor/tensor.ts";
import type { Layer } from "./layer.ts";

/** The draws that initialisers need; every stream of `tensor/random/` has them. */
export interface RandomSource {
  /** Uniform in [0, 1). */
  rand(shape: readonly number[]): Tensor<"float32">;
  /** Standard normal. */
  randn(shape: readonly number[]): Tensor<"float32">;
}

/** Makes the initial values of a parameter. */
export type Initializer = (shape: readonly number[], random: RandomSource) => Float32Array;

/** Every value the same. */
export const constantInit =
  (value: number): Initializer =>
  (shape) =>
    new Float32Array(sizeOf(shape)).fill(value);

/** Given values, for fixed frequencies and filters. */
export const valuesInit =
  (values: ArrayLike<number>): Initializer =>
  () =>
    Float32Array.from(values);

/** U(low, high). */
export const uniformInit =
  (low: number, high: number): Initializer =>
  (shape, random) =>
    random.rand(shape).data.map((u) => low + (high - low) * u);

/** N(mean, std²). */
export const normalInit =
  (std: number, mean = 0): Initializer =>
  (shape, random) =>
    random.randn(shape).data.map((z) => mean + std * z);

/** torch's default for linear layers and convolutions, kaiming_uniform(a = √5): U(±1/√fanIn). */
export const torchUniform = (fanIn: number): Initializer =>
  uniformInit(-1 / Math.sqrt(fanIn), 1 / Math.sqrt(fanIn));

/** Fan-in and fan-out of a weight [out, in, …kernel]. */
export function fans(shape: readonly number[]): {
  readonly fanIn: number;
  readonly fanOut: number;
} {
  const [outputs, inputs = 1, ...kernel] = shape;
  const field = sizeOf(kernel);
  return { fanIn: inputs * field, fanOut: outputs * field };
}

/** Glorot's uniform rule: U(±gain·√(6/(fanIn + fanOut))). */
export const xavierUniform =
  (gain = 1): Initializer =>
  (shape, random) => {
    const { fanIn, fanOut } = fans(shape);
    const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
    return uniformInit(-bound, bound)(shape, random);
  };

/** He's normal rule: N(0, gain²/fanIn). */
export const kaimingNormal =
  (gain = Math.SQRT2): Initializer =>
  (shape, random) =>
    normalInit(gain / Math.sqrt(fans(shape).fanIn))(shape, random);

/** DDPM's and NCSN++'s variance scaling: U(±√(3·scale/((fanIn + fanOut)/2))); scale 0 is taken as 1e-10. */
export const varianceScaling =
  (scale = 1): Initializer =>
  (shape, random) => {
    const { fanIn, fanOut } = fans(shape);
    const bound = Math.sqrt((3 * (scale === 0 ? 1e-10 : scale)) / ((fanIn + fanOut) / 2));
    return uniformInit(-bound, bound)(shape, random);
  };

/** Initial values of all parameters of a layer, drawn in the order of its tree. */
export function initialise(
  layer: Layer<never, unknown>,
  random: RandomSource,
): Record<string, Tensor<"float32">> {
  return Object.fromEntries(
    Object.entries(layer.parameters).map(([name, { shape, init }]) => [
      name,
      tensor("float32", shape, init(shape, random)),
    ]),
  );
}
