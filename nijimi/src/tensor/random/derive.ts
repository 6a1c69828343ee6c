/**
 * Seeds derived from a seed, for streams that must not depend on each other: data order, noise, dropout; or one per
 * worker or image. The mixing function is SplitMix64's (Steele, Lea & Flood 2014, "Fast splittable pseudorandom
 * number generators"), absorbing one label after the other.
 */

const GOLDEN = 0x9e3779b97f4a7c15n;

/**
 * A seed of 64 bits that depends on `seed` and every label, in order.
 *
 * @example
 * const dropout = torchGenerator(deriveSeed(seed, "dropout"));
 * const image = torchGenerator(deriveSeed(seed, "augmentation", epoch, index));
 */
export function deriveSeed(
  seed: number | bigint,
  ...labels: readonly (string | number | bigint)[]
): bigint {
  return labels.reduce<bigint>(
    (state, label) => absorb(state, label),
    mix(BigInt.asUintN(64, BigInt(seed)) + GOLDEN),
  );
}

/** `count` seeds that are independent of each other and of `seed`. */
export function splitSeed(seed: number | bigint, count: number): bigint[] {
  return Array.from({ length: count }, (_, i) => deriveSeed(seed, i));
}

/** Words of 8 bytes of the label; its length and kind keep "1" and 1, and "ab" and "a", "b" apart. */
function absorb(state: bigint, label: string | number | bigint): bigint {
  if (typeof label !== "string") return mix((state ^ BigInt.asUintN(64, BigInt(label))) + GOLDEN);
  const bytes = new TextEncoder().encode(label);
  let result = mix(state + BigInt(bytes.length + 1) * GOLDEN);
  for (let start = 0; start < bytes.length; start += 8) {
    const word = bytes
      .subarray(start, start + 8)
      .reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
    result = mix((result ^ word) + GOLDEN);
  }
  return result;
}

function mix(value: bigint): bigint {
  let z = BigInt.asUintN(64, value);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}
