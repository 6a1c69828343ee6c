/** The fuzzer's random numbers: small, seeded, the same everywhere. */

/** A source of random choices. */
export interface Random {
  /** A whole number from 0 to `below` − 1. */
  int(below: number): number;
  pick<T>(items: readonly T[]): T;
  /** True once in `times` on average. */
  oneIn(times: number): boolean;
}

/** SplitMix32 (Steele, Lea and Flood, 2014, in 32 bits), seeded by a hash of the parts. */
export function makeRandom(...parts: readonly (string | number)[]): Random {
  let state = hash(parts.join("\u0000"));
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  const int = (below: number) => Math.floor((next() / 2 ** 32) * below);
  return { int, pick: (items) => items[int(items.length)], oneIn: (times) => int(times) === 0 };
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value;
}
