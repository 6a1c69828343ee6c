/**
 * Torch's CPU generator: the same seed gives the numbers that PyTorch 2.8 gives on x86, for draws in any order and
 * mixture. Facts that are easy to get wrong:
 *
 * - `rand` takes the low 24 bits of one word (float32) or 53 bits of two (float64); half types 11 and 8 bits.
 * - `randn` of fewer than 16 elements draws pairs in float64 and keeps the second for the next short call;
 *   from 16 on it works in blocks of 16, and when the size is no multiple of 16 the last 16 are drawn again.
 * - `randint` takes one word for ranges below 2^28 and two from there on, modulo the range.
 * - Seeds are 64 bits wide, of which the generator uses the low 32.
 */
import { NijimiError } from "../../errors.ts";
import { cast, toFloat64 } from "../convert.ts";
import type { DType } from "../dtype.ts";
import { sizeOf, tensor, type Tensor } from "../tensor.ts";
import { BLOCK } from "./box-muller.ts";
import {
  drawEach,
  drawNormalBlocks,
  roundTo,
  uniform53,
  uniformOf,
  type DrawDType,
} from "./draws.ts";
import { mt19937, type Mt19937, type Mt19937State } from "./mt19937.ts";
import { checkWeights, drawWithoutReplacement, drawWithReplacement } from "./multinomial.ts";

export type { DrawDType };

/** Everything a generator needs to go on, as JSON-compatible data. */
export interface TorchState extends Mt19937State {
  readonly kind: "torch";
  readonly seed: string;
  /** The second normal of a pair that a short `randn` has drawn. */
  readonly cachedNormal: number | null;
}

/** A stream of torch's random numbers. Every call advances it. */
export interface TorchGenerator {
  readonly kind: "torch";
  /** The seed as torch reports it, 0 ≤ seed < 2^64. */
  readonly seed: bigint;
  /** Uniform on [0, 1). */
  rand<D extends DrawDType = "float32">(shape: readonly number[], dtype?: D): Tensor<D>;
  /** Standard normal. */
  randn<D extends DrawDType = "float32">(shape: readonly number[], dtype?: D): Tensor<D>;
  /** Uniform on [from, to): `tensor.uniform_(from, to)`. */
  uniform<D extends DrawDType = "float32">(
    shape: readonly number[],
    from: number,
    to: number,
    dtype?: D,
  ): Tensor<D>;
  /** `tensor.normal_(mean, std)`. */
  normal<D extends DrawDType = "float32">(
    shape: readonly number[],
    mean: number,
    std: number,
    dtype?: D,
  ): Tensor<D>;
  /** Exponential with the given rate: `tensor.exponential_(rate)`. @param rate default 1 */
  exponential<D extends DrawDType = "float32">(
    shape: readonly number[],
    rate?: number,
    dtype?: D,
  ): Tensor<D>;
  /** Whole numbers low ≤ n < high. Bounds beyond 2^53 are given as bigint. */
  randint<D extends DType = "int64">(
    low: number | bigint,
    high: number | bigint,
    shape: readonly number[],
    dtype?: D,
  ): Tensor<D>;
  /** The numbers 0 … n − 1 in random order. */
  randperm(n: number): Tensor<"int64">;
  /** Zeros and ones, 1 with probability p: `tensor.bernoulli_(p)`. */
  bernoulli<D extends DType = "float32">(shape: readonly number[], p: number, dtype?: D): Tensor<D>;
  /** Zeros and ones, each with its own probability: `torch.bernoulli(probabilities)`. Same shape and type. */
  bernoulliOf<D extends DrawDType>(probabilities: Tensor<D>): Tensor<D>;
  /** `count` indices drawn by weight, per row: `[n]` gives `[count]`, `[rows, n]` gives `[rows, count]`. */
  multinomial(
    weights: Tensor<DrawDType>,
    count: number,
    options?: { readonly replacement?: boolean },
  ): Tensor<"int64">;
  /** The state from which `torchGenerator(state)` goes on exactly. */
  state(): TorchState;
}

/** Ranges of `randint` from here on take two words. */
const WIDE_RANGE = 2n ** 28n;
/** Torch draws 64-bit numbers from here on; such a permutation takes 1.6 GB. */
const MAX_PERMUTATION = Math.floor((2 ** 32 - 1) / 20);

/**
 * A generator like `torch.Generator().manual_seed(seed)`, or one that goes on from a saved state.
 *
 * @param start seed from −2^63 to 2^64 − 1 (a number must be a safe integer), or what `state()` gave
 * @throws NijimiError `option` for a seed out of range, `format` for a broken state
 * @example
 * const latents = torchGenerator(42).randn([1, 4, 64, 64]); // 1.92692, 1.48728, 0.90072, −2.10552 …
 */
export function torchGenerator(start: number | bigint | TorchState): TorchGenerator {
  const restored = typeof start === "object" ? start : undefined;
  const seed = checkSeed(restored ? BigInt(restored.seed) : (start as number | bigint));
  const engine = mt19937(restored ?? seed);
  let cachedNormal = restored?.cachedNormal ?? null;

  /** One normal in float64: the cached one, or the first of a new pair. */
  function scalarNormal(): number {
    if (cachedNormal !== null) {
      const value = cachedNormal;
      cachedNormal = null;
      return value;
    }
    const theta = 2 * Math.PI * uniform53(engine);
    const radius = Math.sqrt(-2 * Math.log1p(-uniform53(engine)));
    cachedNormal = radius * Math.sin(theta);
    return radius * Math.cos(theta);
  }

  function normal<D extends DrawDType>(
    shape: readonly number[],
    mean: number,
    std: number,
    dtype: D,
  ): Tensor<D> {
    if (!(std >= 0))
      throw new NijimiError("option", `normal: the standard deviation must be ≥ 0; got ${std}.`);
    if (sizeOf(shape) >= BLOCK) return drawNormalBlocks(engine, shape, mean, std, dtype);
    return drawEach(shape, dtype, () => scalarNormal() * std + mean);
  }

  return Object.freeze<TorchGenerator>({
    kind: "torch",
    seed,
    rand: (shape, dtype) => uniform(engine, shape, 0, 1, orDefault(dtype, "float32")),
    randn: (shape, dtype) => normal(shape, 0, 1, orDefault(dtype, "float32")),
    uniform: (shape, from, to, dtype) =>
      uniform(engine, shape, from, to, orDefault(dtype, "float32")),
    normal: (shape, mean, std, dtype) => normal(shape, mean, std, orDefault(dtype, "float32")),
    exponential: (shape, rate = 1, dtype) =>
      exponential(engine, shape, rate, orDefault(dtype, "float32")),
    randint: (low, high, shape, dtype) =>
      cast(randint(engine, BigInt(low), BigInt(high), shape), orDefault(dtype, "int64")),
    randperm: (n) => randperm(engine, n),
    bernoulli(shape, p, dtype) {
      checkProbability(p);
      return drawEach(shape, orDefault(dtype, "float32"), () => (uniform53(engine) < p ? 1 : 0));
    },
    bernoulliOf: (probabilities) => bernoulliOf(engine, probabilities),
    multinomial: (weights, count, { replacement = false } = {}) =>
      multinomial(engine, weights, count, replacement),
    state: () => ({ kind: "torch", seed: seed.toString(), ...engine.save(), cachedNormal }),
  });
}

/** The type that was asked for; `fallback` is the default of the type parameter D. */
function orDefault<D extends DType>(dtype: D | undefined, fallback: DType): D {
  return dtype ?? (fallback as D);
}

function uniform<D extends DrawDType>(
  engine: Mt19937,
  shape: readonly number[],
  from: number,
  to: number,
  dtype: D,
): Tensor<D> {
  const low = roundTo(dtype, from);
  const width = roundTo(dtype, roundTo(dtype, to) - low);
  if (!(width >= 0))
    throw new NijimiError("option", `uniform: expected from ≤ to; got ${from} and ${to}.`);
  return drawEach(shape, dtype, () => uniformOf(engine, dtype) * width + low);
}

function exponential<D extends DrawDType>(
  engine: Mt19937,
  shape: readonly number[],
  rate: number,
  dtype: D,
): Tensor<D> {
  if (!(rate > 0))
    throw new NijimiError("option", `exponential: the rate must be > 0; got ${rate}.`);
  return drawEach(shape, dtype, () => (-1 / rate) * Math.log(1 - uniform53(engine)));
}

function randint(
  engine: Mt19937,
  low: bigint,
  high: bigint,
  shape: readonly number[],
): Tensor<"int64"> {
  const range = high - low;
  if (range <= 0n || range >= 2n ** 64n)
    throw new NijimiError(
      "option",
      `randint: expected low < high within 64 bits; got ${low} and ${high}.`,
    );
  const narrow = Number(range);
  const next =
    range < WIDE_RANGE ? () => BigInt(engine.uint32() % narrow) : () => engine.uint64() % range;
  return tensor(
    "int64",
    shape,
    BigInt64Array.from({ length: sizeOf(shape) }, () => low + next()),
  );
}

function randperm(engine: Mt19937, n: number): Tensor<"int64"> {
  if (!Number.isInteger(n) || n < 0 || n >= MAX_PERMUTATION)
    throw new NijimiError(
      "option",
      `randperm: expected a whole number below ${MAX_PERMUTATION}; got ${n}.`,
    );
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < n - 1; i++) {
    const j = i + (engine.uint32() % (n - i));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return tensor("int64", [n], BigInt64Array.from(order, BigInt));
}

function bernoulliOf<D extends DrawDType>(engine: Mt19937, probabilities: Tensor<D>): Tensor<D> {
  const p = toFloat64(probabilities);
  p.forEach(checkProbability);
  const precision = probabilities.dtype === "float64" ? "float64" : "float32";
  let i = 0;
  return drawEach(probabilities.shape, probabilities.dtype, () =>
    uniformOf(engine, precision) < p[i++] ? 1 : 0,
  );
}

function multinomial(
  engine: Mt19937,
  weights: Tensor<DrawDType>,
  count: number,
  replacement: boolean,
): Tensor<"int64"> {
  const { dtype, shape } = weights;
  if (shape.length === 0 || shape.length > 2)
    throw new NijimiError(
      "shape",
      `multinomial: expected weights [n] or [rows, n]; got [${shape}].`,
    );
  const categories = shape[shape.length - 1];
  if (!Number.isInteger(count) || count < 1 || (!replacement && count > categories))
    throw new NijimiError(
      "option",
      `multinomial: cannot draw ${count} of ${categories}${replacement ? "" : " without replacement"}.`,
    );
  const rowsOf = (data: Float64Array) =>
    Array.from({ length: sizeOf(shape.slice(0, -1)) }, (_, r) =>
      data.subarray(r * categories, (r + 1) * categories),
    );
  const rows = rowsOf(toFloat64(weights));
  rows.forEach(checkWeights);
  let drawn: number[][];
  if (replacement && count > 1) {
    const round = dtype === "float64" ? (value: number) => value : Math.fround;
    drawn = rows.map((row) => drawWithReplacement(row, count, () => uniform53(engine), round));
  } else {
    const races = rowsOf(toFloat64(exponential(engine, shape, 1, dtype)));
    drawn = rows.map((row, r) =>
      drawWithoutReplacement(row, races[r], count, (value) => roundTo(dtype, value)),
    );
  }
  return tensor("int64", [...shape.slice(0, -1), count], BigInt64Array.from(drawn.flat(), BigInt));
}

function checkProbability(p: number): void {
  if (!(p >= 0 && p <= 1))
    throw new NijimiError("option", `bernoulli: a probability lies between 0 and 1; got ${p}.`);
}

/** The seed modulo 2^64, as torch wraps negative ones. */
function checkSeed(seed: number | bigint): bigint {
  const valid =
    typeof seed === "bigint"
      ? seed >= -(2n ** 63n) && seed < 2n ** 64n
      : Number.isSafeInteger(seed);
  if (!valid)
    throw new NijimiError(
      "option",
      `Seed: expected a whole number from -2^63 to 2^64 - 1 (beyond 2^53 as a bigint); got ${seed}.`,
    );
  return BigInt.asUintN(64, BigInt(seed));
}
