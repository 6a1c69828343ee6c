/**
 * NumPy's legacy `RandomState`, frozen since NumPy 1.17 and still what many training codes draw timesteps with:
 * 53-bit uniforms from two words, normals by Marsaglia's polar method (the second is returned by the next call),
 * integers by masking and rejecting, shuffles by Fisher–Yates from the end.
 */
import { NijimiError } from "../../errors.ts";
import { sizeOf, tensor, type Tensor } from "../tensor.ts";
import { mt19937, type Mt19937State } from "./mt19937.ts";

/** Everything a generator needs to go on, as JSON-compatible data. */
export interface NumpyState extends Mt19937State {
  readonly kind: "numpy";
  readonly cachedNormal: number | null;
}

/** A stream of NumPy's legacy random numbers. Every call advances it. */
export interface NumpyRandomState {
  readonly kind: "numpy";
  /** Uniform on [0, 1): `rand`, `random_sample`. */
  rand(shape: readonly number[]): Tensor<"float64">;
  /** Standard normal: `randn`, `standard_normal`. */
  randn(shape: readonly number[]): Tensor<"float64">;
  uniform(low: number, high: number, shape: readonly number[]): Tensor<"float64">;
  normal(mean: number, std: number, shape: readonly number[]): Tensor<"float64">;
  /** Whole numbers low ≤ n < high. */
  randint(low: number | bigint, high: number | bigint, shape: readonly number[]): Tensor<"int64">;
  /** The numbers 0 … n − 1 in random order. */
  permutation(n: number): Tensor<"int64">;
  /** Indices 0 ≤ i < n, uniformly or with probabilities `p`. */
  choice(n: number, shape: readonly number[], options?: ChoiceOptions): Tensor<"int64">;
  /** The state from which `numpyRandomState(state)` goes on exactly. */
  state(): NumpyState;
}

export interface ChoiceOptions {
  /** Probabilities of the indices; they must sum to 1. */
  readonly p?: ArrayLike<number>;
  /** May an index be drawn twice? @default true */
  readonly replace?: boolean;
}

/**
 * A generator like `numpy.random.RandomState(seed)`, or one that goes on from a saved state.
 *
 * @param start seed from 0 to 2^32 − 1, or what `state()` gave
 * @example
 * const t = numpyRandomState(0).choice(1000, [8], { p: weights });
 */
export function numpyRandomState(start: number | NumpyState): NumpyRandomState {
  if (typeof start === "number" && !(Number.isInteger(start) && start >= 0 && start < 2 ** 32))
    throw new NijimiError(
      "option",
      `numpyRandomState: expected a seed from 0 to 2^32 - 1; got ${start}.`,
    );
  const engine = mt19937(typeof start === "number" ? BigInt(start) : start);
  let cachedNormal = typeof start === "number" ? null : start.cachedNormal;

  function random53(): number {
    const high = engine.uint32() >>> 5;
    return (high * 0x4000000 + (engine.uint32() >>> 6)) / 2 ** 53;
  }

  function gauss(): number {
    if (cachedNormal !== null) {
      const value = cachedNormal;
      cachedNormal = null;
      return value;
    }
    let x1: number, x2: number, r2: number;
    do {
      x1 = 2 * random53() - 1;
      x2 = 2 * random53() - 1;
      r2 = x1 * x1 + x2 * x2;
    } while (r2 >= 1 || r2 === 0);
    const factor = Math.sqrt((-2 * Math.log(r2)) / r2);
    cachedNormal = factor * x1;
    return factor * x2;
  }

  /** A whole number 0 ≤ n ≤ max < 2^32 by masked rejection. */
  function interval32(max: number): number {
    if (max === 0) return 0;
    const mask = 2 ** (32 - Math.clz32(max)) - 1;
    for (;;) {
      const value = (engine.uint32() & mask) >>> 0;
      if (value <= max) return value;
    }
  }

  function interval64(max: bigint): bigint {
    if (max < 2n ** 32n) return BigInt(interval32(Number(max)));
    const bits = max.toString(2).length;
    for (;;) {
      const value = BigInt.asUintN(bits, engine.uint64());
      if (value <= max) return value;
    }
  }

  function randint(
    low: number | bigint,
    high: number | bigint,
    shape: readonly number[],
  ): Tensor<"int64"> {
    const base = BigInt(low);
    const max = BigInt(high) - base - 1n;
    if (max < 0n)
      throw new NijimiError("option", `randint: expected low < high; got ${low} and ${high}.`);
    return integers(shape, () => base + interval64(max));
  }

  function permute(n: number): number[] {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = interval32(i);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  function choice(
    n: number,
    shape: readonly number[],
    { p, replace = true }: ChoiceOptions,
  ): Tensor<"int64"> {
    const size = sizeOf(shape);
    if (p) checkProbabilities(p, n);
    if (!replace && size > n)
      throw new NijimiError("option", `choice: cannot draw ${size} of ${n} without replacement.`);
    if (!p && replace) return randint(0, n, shape);
    const drawn = !p
      ? permute(n)
      : replace
        ? searchAll(cumulative(p), Array.from({ length: size }, random53))
        : chooseDistinct(p, size, random53);
    return integers(shape, (i) => BigInt(drawn[i]));
  }

  return Object.freeze<NumpyRandomState>({
    kind: "numpy",
    rand: (shape) => floats(shape, random53),
    randn: (shape) => floats(shape, gauss),
    uniform: (low, high, shape) => floats(shape, () => low + (high - low) * random53()),
    normal: (mean, std, shape) => floats(shape, () => mean + std * gauss()),
    randint,
    permutation: (n) => tensor("int64", [n], BigInt64Array.from(permute(n), BigInt)),
    choice: (n, shape, options = {}) => choice(n, shape, options),
    state: () => ({ kind: "numpy", ...engine.save(), cachedNormal }),
  });
}

function floats(shape: readonly number[], next: () => number): Tensor<"float64"> {
  return tensor("float64", shape, Float64Array.from({ length: sizeOf(shape) }, next));
}

function integers(shape: readonly number[], next: (i: number) => bigint): Tensor<"int64"> {
  return tensor(
    "int64",
    shape,
    BigInt64Array.from({ length: sizeOf(shape) }, (_, i) => next(i)),
  );
}

function checkProbabilities(p: ArrayLike<number>, n: number): void {
  const sum = Array.from(p).reduce((total, value) => total + value, 0);
  if (p.length !== n || Math.abs(sum - 1) > 1.5e-8 || Array.from(p).some((value) => !(value >= 0)))
    throw new NijimiError(
      "option",
      `choice: expected ${n} probabilities ≥ 0 that sum to 1; got ${p.length} with sum ${sum}.`,
    );
}

function cumulative(p: ArrayLike<number>): number[] {
  let sum = 0;
  const sums = Array.from(p, (value) => (sum += value));
  return sums.map((value) => value / sum);
}

/** For each value the number of sums that are not above it. */
function searchAll(sums: readonly number[], values: readonly number[]): number[] {
  return values.map((value) => {
    let left = 0;
    let right = sums.length;
    while (left < right) {
      const middle = (left + right) >> 1;
      if (sums[middle] <= value) left = middle + 1;
      else right = middle;
    }
    return left;
  });
}

/** Draws rounds of the missing number, keeps each new index once and excludes it from the next round. */
function chooseDistinct(p: ArrayLike<number>, size: number, random: () => number): number[] {
  const remaining = Array.from(p);
  if (remaining.filter((value) => value > 0).length < size)
    throw new NijimiError(
      "option",
      `choice: fewer than ${size} indices have a probability above 0.`,
    );
  const found: number[] = [];
  while (found.length < size) {
    const values = Array.from({ length: size - found.length }, random);
    for (const index of found) remaining[index] = 0;
    found.push(...new Set(searchAll(cumulative(remaining), values)));
  }
  return found;
}
