/**
 * NumPy's `SeedSequence` (O'Neill 2015, "Developing a seed_seq alternative"): spreads entropy of
 * any length over a pool and draws independent seeds from it; `spawnKey` names a child. torchsde
 * derives the seeds of its Brownian tree so.
 */
import { NijimiError } from "../../errors.ts";

const INIT_A = 0x43b0d7e5;
const MULT_A = 0x931e8875;
const INIT_B = 0x8b51f9dd;
const MULT_B = 0x58f38ded;
const MIX_LEFT = 0xca01f9dd;
const MIX_RIGHT = 0x4973f715;

/** What a sequence is made of. */
export interface SeedSequenceOptions {
  /** Path of a child below the sequence of `entropy`. @default [] */
  readonly spawnKey?: readonly (number | bigint)[];
  /** Words of the pool. @default 4 */
  readonly poolSize?: number;
}

/**
 * The first `count` words of 32 bits (`SeedSequence(entropy, spawn_key,
 * pool_size).generate_state(count)`).
 *
 * @param entropy a whole number ≥ 0 of any size
 */
export function seedSequenceWords(
  entropy: number | bigint,
  count: number,
  { spawnKey = [], poolSize = 4 }: SeedSequenceOptions = {},
): Uint32Array {
  const own = words(entropy);
  const spawned = spawnKey.flatMap(words);
  while (spawned.length > 0 && own.length < poolSize) own.push(0);
  const pool = mixEntropy([...own, ...spawned], poolSize);
  let hash = INIT_B;
  return Uint32Array.from({ length: count }, (_, i) => {
    const value = (pool[i % poolSize] ^ hash) >>> 0;
    hash = Math.imul(hash, MULT_B);
    return foldedProduct(value, hash);
  });
}

function mixEntropy(entropy: readonly number[], poolSize: number): Uint32Array {
  let hash = INIT_A;
  const hashed = (value: number) => {
    const mixed = (value ^ hash) >>> 0;
    hash = Math.imul(hash, MULT_A);
    return foldedProduct(mixed, hash);
  };
  const pool = Uint32Array.from({ length: poolSize }, (_, i) => hashed(entropy[i] ?? 0));
  for (let from = 0; from < poolSize; from++)
    for (let to = 0; to < poolSize; to++)
      if (to !== from) pool[to] = mix(pool[to], hashed(pool[from]));
  for (let from = poolSize; from < entropy.length; from++)
    for (let to = 0; to < poolSize; to++) pool[to] = mix(pool[to], hashed(entropy[from]));
  return pool;
}

function mix(x: number, y: number): number {
  const value = (Math.imul(MIX_LEFT, x) - Math.imul(MIX_RIGHT, y)) >>> 0;
  return (value ^ (value >>> 16)) >>> 0;
}

function foldedProduct(value: number, factor: number): number {
  const product = Math.imul(value, factor) >>> 0;
  return (product ^ (product >>> 16)) >>> 0;
}

/** Words of a number, least significant first. */
function words(value: number | bigint): number[] {
  const valid = typeof value === "bigint" ? value >= 0n : Number.isSafeInteger(value) && value >= 0;
  if (!valid)
    throw new NijimiError(
      "option",
      `Entropy: expected a whole number ≥ 0 (beyond 2^53 as a bigint); got ${value}.`,
    );
  const out: number[] = [];
  let rest = BigInt(value);
  do {
    out.push(Number(rest & 0xffffffffn));
    rest >>= 32n;
  } while (rest > 0n);
  return out;
}
