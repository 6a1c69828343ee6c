/**
 * Hashes that decide which samples are kept, which split or replicate they fall in: functions of a sample's content
 * or name and a seed, never of the order in which samples arrive.
 */
import type { Floats } from "./linear-algebra/product.ts";

/** A 32-bit mixer in which every input bit reaches every output bit (MurmurHash3's finaliser). */
export function mix32(value: number): number {
  let h = value >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Hash of two 32-bit numbers. */
export function mixPair(a: number, b: number): number {
  return mix32(Math.imul(mix32(a), 0x9e3779b1) + b);
}

/** Hash of the bits of one row of features, the same for float32 values in either precision. */
export function hashRow(data: Floats, start: number, length: number, seed = 0): number {
  const row = Float32Array.from(data.subarray(start, start + length));
  let h = mix32(seed);
  for (const word of new Uint32Array(row.buffer)) h = Math.imul(h ^ word, 0x9e3779b1) ^ (h >>> 15);
  return mix32(h);
}

/** Hash of a name. */
export function hashText(text: string, seed = 0): number {
  let h = mix32(seed);
  for (let i = 0; i < text.length; i++)
    h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) ^ (h >>> 15);
  return mix32(h);
}

/** Uniform on [0, 1) from a hash. */
export function unitInterval(hash: number): number {
  return hash / 2 ** 32;
}
