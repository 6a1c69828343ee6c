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
import { allocate, type DataOf, type DType } from "../dtype.ts";
import { sizeOf, tensor, type Tensor } from "../tensor.ts";
import { BLOCK, boxMullerFloat32, boxMullerFloat64, boxMullerHalf, type DrawDType } from "./box-muller.ts";
import { mt19937, type Mt19937State } from "./mt19937.ts";
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
  uniform<D extends DrawDType = "float32">(shape: readonly number[], from: number, to: number, dtype?: D): Tensor<D>;
  /** `tensor.normal_(mean, std)`. */
  normal<D extends DrawDType = "float32">(shape: readonly number[], mean: number, std: number, dtype?: D): Tensor<D>;
  /** Exponential with the given rate: `tensor.exponential_(rate)`. @param rate default 1 */
  exponential<D extends DrawDType = "float32">(shape: readonly number[], rate?: number, dtype?: D): Tensor<D>;
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
  multinomial(weights: Tensor<DrawDType>, count: number, options?: { readonly replacement?: boolean }): Tensor<"int64">;
  /** The state from which `torchGenerator(state)` goes on exactly. */
  state(): TorchState;
}

/** Bits of a uniform number by type; float64 takes two words. */
const UNIFORM_BITS = { float32: 24, float16: 11, bfloat16: 8 } as const;
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
  const seed = restored ? BigInt(restored.seed) : checkSeed(start as number | bigint);
  const engine = mt19937(restored ?? seed);
  let cachedNormal = restored?.cachedNormal ?? null;

  const uniform53 = (): number => engine.low53() * 2 ** -53;

  /** One uniform number on [0, 1) with the bits of a type. */
  function uniformOf(dtype: DrawDType): number {
    if (dtype === "float64") return uniform53();
    const bits = UNIFORM_BITS[dtype];
    return (engine.uint32() & ((1 << bits) - 1)) / (1 << bits);
  }

  function uniform<D extends DrawDType>(shape: readonly number[], from: number, to: number, dtype: D): Tensor<D> {
    const [low, high] = rounded([from, to], dtype);
    if (!(low <= high)) throw new NijimiError("option", `uniform: expected from ≤ to; got ${from} and ${to}.`);
    const [width] = rounded([high - low], dtype);
    return draw(shape, dtype, () => uniformOf(dtype) * width + low);
  }

  /** One normal in float64, from the cache or as the first of a new pair. */
  function scalarNormal(): number {
    if (cachedNormal !== null) {
      const value = cachedNormal;
      cachedNormal = null;
      return value;
    }
    const theta = 2 * Math.PI * uniform53();
    const radius = Math.sqrt(-2 * Math.log1p(-uniform53()));
    cachedNormal = radius * Math.sin(theta);
    return radius * Math.cos(theta);
  }

  function normal<D extends DrawDType>(shape: readonly number[], mean: number, std: number, dtype: D): Tensor<D> {
    if (!(std >= 0)) throw new NijimiError("option", `normal: the standard deviation must be ≥ 0; got ${std}.`);
    const size = sizeOf(shape);
    if (size < BLOCK) return draw(shape, dtype, () => scalarNormal() * std + mean);
    const type: DrawDType = dtype;
    if (type === "float32") {
      const out = new Float32Array(size);
      const words = new Uint32Array(BLOCK);
      const [mean32, std32] = [Math.fround(mean), Math.fround(std)];
      inBlocks(size, skipWords, (offset) => {
        engine.fill(words);
        boxMullerFloat32(words, out, offset, mean32, std32);
      });
      return tensor("float32", shape, out) as Tensor as Tensor<D>;
    }
    const out = type === "float64" ? new Float64Array(size) : new Float32Array(size);
    inBlocks(
      size,
      (count) => skipWords(type === "float64" ? 2 * count : count),
      (offset) => {
        for (let i = offset; i < offset + BLOCK; i++) out[i] = uniformOf(type);
        if (out instanceof Float64Array) boxMullerFloat64(out, offset, mean, std);
        else boxMullerHalf(type as "float16" | "bfloat16", out, offset, mean, std);
      },
    );
    const wide = out instanceof Float64Array ? tensor("float64", shape, out) : tensor("float32", shape, out);
    return cast(wide, dtype);
  }

  function skipWords(count: number): void {
    for (let i = 0; i < count; i++) engine.uint32();
  }

  function exponential<D extends DrawDType>(shape: readonly number[], rate: number, dtype: D): Tensor<D> {
    if (!(rate > 0)) throw new NijimiError("option", `exponential: the rate must be > 0; got ${rate}.`);
    return draw(shape, dtype, () => (-1 / rate) * Math.log(1 - uniform53()));
  }

  function randint<D extends DType>(low: number | bigint, high: number | bigint, shape: readonly number[], dtype: D): Tensor<D> {
    const base = BigInt(low);
    const range = BigInt(high) - base;
    if (range <= 0n || range >= 2n ** 64n)
      throw new NijimiError("option", `randint: expected low < high within 64 bits; got ${low} and ${high}.`);
    const out = new BigInt64Array(sizeOf(shape));
    const narrow = Number(range);
    for (let i = 0; i < out.length; i++)
      out[i] = base + (range < WIDE_RANGE ? BigInt(engine.uint32() % narrow) : engine.uint64() % range);
    return cast(tensor("int64", shape, out), dtype);
  }

  function randperm(n: number): Tensor<"int64"> {
    if (!Number.isInteger(n) || n < 0 || n >= MAX_PERMUTATION)
      throw new NijimiError("option", `randperm: expected a whole number below ${MAX_PERMUTATION}; got ${n}.`);
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = 0; i < n - 1; i++) {
      const j = i + (engine.uint32() % (n - i));
      const value = order[i];
      order[i] = order[j];
      order[j] = value;
    }
    return tensor("int64", [n], BigInt64Array.from(order, BigInt));
  }

  function bernoulliOf<D extends DrawDType>(probabilities: Tensor<D>): Tensor<D> {
    const p = toFloat64(probabilities);
    for (const value of p) checkProbability(value);
    const bits = probabilities.dtype === "float64" ? "float64" : "float32";
    let i = 0;
    return draw(probabilities.shape, probabilities.dtype, () => (uniformOf(bits) < p[i++] ? 1 : 0));
  }

  function multinomial(weights: Tensor<DrawDType>, count: number, replacement: boolean): Tensor<"int64"> {
    const [rows, categories] = weights.shape.length === 2 ? weights.shape : [1, weights.shape[0]];
    if (weights.shape.length === 0 || weights.shape.length > 2)
      throw new NijimiError("shape", `multinomial: expected weights [n] or [rows, n]; got [${weights.shape}].`);
    if (!Number.isInteger(count) || count < 1 || (!replacement && count > categories))
      throw new NijimiError("option", `multinomial: cannot draw ${count} of ${categories} without replacement.`);
    const values = toFloat64(weights);
    const row = (data: Float64Array, r: number) => data.subarray(r * categories, (r + 1) * categories);
    for (let r = 0; r < rows; r++) checkWeights(row(values, r));
    const roundTo = (dtype: DrawDType) => (dtype === "float64" ? (x: number) => x : dtype === "float32" ? Math.fround : (x: number) => rounded([x], dtype)[0]);
    const drawn: number[] = [];
    if (replacement && count > 1) {
      const round = weights.dtype === "float64" ? roundTo("float64") : Math.fround;
      for (let r = 0; r < rows; r++) drawn.push(...drawWithReplacement(row(values, r), count, uniform53, round));
    } else {
      const race = toFloat64(exponential(weights.shape, 1, weights.dtype));
      for (let r = 0; r < rows; r++) drawn.push(...drawWithoutReplacement(row(values, r), row(race, r), count, roundTo(weights.dtype)));
    }
    return tensor("int64", [...weights.shape.slice(0, -1), count], BigInt64Array.from(drawn, BigInt));
  }

  return Object.freeze<TorchGenerator>({
    kind: "torch",
    seed,
    rand: (shape, dtype) => uniform(shape, 0, 1, dtype ?? float32()),
    randn: (shape, dtype) => normal(shape, 0, 1, dtype ?? float32()),
    uniform: (shape, from, to, dtype) => uniform(shape, from, to, dtype ?? float32()),
    normal: (shape, mean, std, dtype) => normal(shape, mean, std, dtype ?? float32()),
    exponential: (shape, rate = 1, dtype) => exponential(shape, rate, dtype ?? float32()),
    randint: (low, high, shape, dtype) => randint(low, high, shape, dtype ?? ("int64" as never)),
    randperm,
    bernoulli(shape, p, dtype) {
      checkProbability(p);
      return cast(draw(shape, "float32", () => (uniform53() < p ? 1 : 0)), dtype ?? ("float32" as never));
    },
    bernoulliOf,
    multinomial: (weights, count, { replacement = false } = {}) => multinomial(weights, count, replacement),
    state: () => ({ kind: "torch", seed: seed.toString(), ...engine.save(), cachedNormal }),
  });
}

/** The default type where a type parameter stands for "float32 unless said otherwise". */
function float32<D extends DrawDType>(): D {
  return "float32" as D;
}

/** Whole blocks from the front; then, where elements are left, their draws are discarded and the last block redrawn. */
function inBlocks(size: number, skip: (count: number) => void, block: (offset: number) => void): void {
  for (let offset = 0; offset + BLOCK <= size; offset += BLOCK) block(offset);
  if (size % BLOCK === 0) return;
  skip(size % BLOCK);
  block(size - BLOCK);
}

/** A tensor whose elements are drawn one after the other and rounded to the type. */
function draw<D extends DrawDType>(shape: readonly number[], dtype: D, next: () => number): Tensor<D> {
  const size = sizeOf(shape);
  const wide: DrawDType = dtype === "float64" ? "float64" : "float32";
  const out = allocate(wide, size) as Float32Array | Float64Array;
  for (let i = 0; i < size; i++) out[i] = next();
  return cast(tensor(wide, shape, out as DataOf<typeof wide>), dtype);
}

/** The numbers as the type holds them. */
function rounded(values: readonly number[], dtype: DrawDType): number[] {
  return [...toFloat64(cast(tensor("float64", [values.length], Float64Array.from(values)), dtype))];
}

function checkProbability(p: number): void {
  if (!(p >= 0 && p <= 1)) throw new NijimiError("option", `bernoulli: a probability lies between 0 and 1; got ${p}.`);
}

/** The seed modulo 2^64, as torch wraps negative ones. */
function checkSeed(seed: number | bigint): bigint {
  const valid = typeof seed === "bigint" ? seed >= -(2n ** 63n) && seed < 2n ** 64n : Number.isSafeInteger(seed);
  if (!valid)
    throw new NijimiError("option", `Seed: expected a whole number from -2^63 to 2^64 - 1 (beyond 2^53 as a bigint); got ${seed}.`);
  return BigInt.asUintN(64, BigInt(seed));
}
