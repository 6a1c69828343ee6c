/**
 * Normal numbers as NVIDIA GPUs give them to torch: Philox 4×32 with ten rounds (Salmon et al. 2011, "Parallel random
 * numbers: as easy as 1, 2, 3") and Box–Muller on its first two words. User interfaces call this noise "NV": it is
 * what `torch.randn(device="cuda")` returns for a seed, whatever the machine.
 */
import { NijimiError } from "../../errors.ts";
import { sizeOf, tensor, type Tensor } from "../tensor.ts";

const ROUNDS = 10;
const MULTIPLIER_A = 0xd2511f53;
const MULTIPLIER_B = 0xcd9e8d57;
const WEYL_A = 0x9e3779b9;
const WEYL_B = 0xbb67ae85;
/** 2^−32 and 2π·2^−32, which the kernels hold in float32. */
const UNIT = Math.fround(2.3283064e-10);
const ANGLE = Math.fround(2.3283064e-10 * 6.2831855);

/** Everything a stream needs to go on, as JSON-compatible data. */
export interface PhiloxState {
  readonly kind: "philox";
  readonly seed: string;
  /** Number of draws made. */
  readonly offset: number;
}

/** A stream of GPU-like normal numbers. Every call advances it by one, whatever its size. */
export interface PhiloxGenerator {
  readonly kind: "philox";
  readonly seed: bigint;
  /** Standard normal. */
  randn(shape: readonly number[]): Tensor<"float32">;
  /** The state from which `philoxGenerator(state)` goes on exactly. */
  state(): PhiloxState;
}

/**
 * A stream for a seed of 64 bits, or one that goes on from a saved state.
 *
 * @example
 * const latents = philoxGenerator(12345).randn([4, 64, 64]);
 */
export function philoxGenerator(start: number | bigint | PhiloxState): PhiloxGenerator {
  const restored = typeof start === "object" ? start : undefined;
  if (typeof start === "number" && !Number.isSafeInteger(start))
    throw new NijimiError(
      "option",
      `Seed: expected a whole number (beyond 2^53 as a bigint); got ${start}.`,
    );
  const seed = BigInt.asUintN(64, BigInt(restored?.seed ?? (start as number | bigint)));
  let offset = restored?.offset ?? 0;
  return Object.freeze<PhiloxGenerator>({
    kind: "philox",
    seed,
    randn: (shape) => tensor("float32", shape, normals(seed, offset++, sizeOf(shape))),
    state: () => ({ kind: "philox", seed: seed.toString(), offset }),
  });
}

function normals(seed: bigint, offset: number, size: number): Float32Array {
  const keyA = Number(BigInt.asUintN(32, seed));
  const keyB = Number(seed >> 32n);
  const out = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    // counter = (offset, 0, index, 0)
    let [c0, c1, c2, c3] = [offset >>> 0, 0, i, 0];
    for (let round = 0; round < ROUNDS; round++) {
      const highA = multiplyHigh(MULTIPLIER_A, c0);
      const highB = multiplyHigh(MULTIPLIER_B, c2);
      const lowA = Math.imul(MULTIPLIER_A, c0);
      const lowB = Math.imul(MULTIPLIER_B, c2);
      c0 = (highB ^ c1 ^ (keyA + Math.imul(round, WEYL_A))) >>> 0;
      c2 = (highA ^ c3 ^ (keyB + Math.imul(round, WEYL_B))) >>> 0;
      c1 = lowB >>> 0;
      c3 = lowA >>> 0;
    }
    const radius = Math.sqrt(-2 * Math.log(c0 * UNIT + UNIT / 2));
    out[i] = radius * Math.sin(c1 * ANGLE + ANGLE / 2);
  }
  return out;
}

/** The upper 32 bits of the product of two 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16); // < 2^32
  const carry = aLow * bHigh + (middle % 0x10000); // < 2^32
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}
