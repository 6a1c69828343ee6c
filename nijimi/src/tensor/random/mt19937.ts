/**
 * The Mersenne Twister MT19937 (Matsumoto & Nishimura 1998), the engine of torch's CPU generator and of NumPy's
 * legacy `RandomState`. Both seed it with 32 bits by Knuth's recurrence.
 */
import { NijimiError } from "../../errors.ts";

const SIZE = 624;
const SHIFT = 397;

/** The engine's state as plain data: 624 words and the place of the next one. */
export interface Mt19937State {
  readonly words: readonly number[];
  readonly position: number;
}

/** A stream of 32-bit words. */
export interface Mt19937 {
  /** The next word, 0 ≤ word < 2^32. */
  uint32(): number;
  /** Fills `target` with the next words. */
  fill(target: Uint32Array): void;
  /** Two words as one number of 53 bits: the low bits of (first << 32 | second), as torch takes them. */
  low53(): number;
  /** Two words, the first one high. */
  uint64(): bigint;
  save(): Mt19937State;
}

/** An engine seeded with the low 32 bits of `seed`, or one that goes on from a saved state. */
export function mt19937(start: bigint | Mt19937State): Mt19937 {
  const words = typeof start === "bigint" ? seedWords(start) : restoreWords(start);
  let position = typeof start === "bigint" ? SIZE : start.position;

  function uint32(): number {
    if (position === SIZE) {
      advance(words);
      position = 0;
    }
    return temper(words[position++]);
  }

  return Object.freeze({
    uint32,
    fill(target: Uint32Array) {
      for (let i = 0; i < target.length;) {
        if (position === SIZE) {
          advance(words);
          position = 0;
        }
        const run = Math.min(SIZE - position, target.length - i);
        for (let k = 0; k < run; k++) target[i + k] = temper(words[position + k]);
        position += run;
        i += run;
      }
    },
    low53() {
      const high = uint32() & 0x1fffff;
      return high * 0x100000000 + uint32();
    },
    uint64() {
      const high = uint32();
      return (BigInt(high) << 32n) | BigInt(uint32());
    },
    save: () => ({ words: Array.from(words), position }),
  });
}

function seedWords(seed: bigint): Uint32Array {
  const words = new Uint32Array(SIZE);
  words[0] = Number(BigInt.asUintN(32, seed));
  for (let i = 1; i < SIZE; i++) {
    const previous = words[i - 1] ^ (words[i - 1] >>> 30);
    words[i] = Math.imul(1812433253, previous) + i;
  }
  return words;
}

function restoreWords({ words, position }: Mt19937State): Uint32Array {
  if (words.length !== SIZE || !Number.isInteger(position) || position < 0 || position > SIZE)
    throw new NijimiError(
      "format",
      `Random state: expected ${SIZE} words and a position of at most ${SIZE}; got ${words.length} and ${position}.`,
    );
  return Uint32Array.from(words);
}

/** The next 624 words of the recurrence, in place. */
function advance(words: Uint32Array): void {
  for (let i = 0; i < SIZE - SHIFT; i++)
    words[i] = words[i + SHIFT] ^ twist(words[i], words[i + 1]);
  for (let i = SIZE - SHIFT; i < SIZE - 1; i++)
    words[i] = words[i + SHIFT - SIZE] ^ twist(words[i], words[i + 1]);
  words[SIZE - 1] = words[SHIFT - 1] ^ twist(words[SIZE - 1], words[0]);
}

function twist(word: number, next: number): number {
  const mixed = (word & 0x80000000) | (next & 0x7fffffff);
  return (mixed >>> 1) ^ (-(next & 1) & 0x9908b0df);
}

/** The output function: spreads the entropy of a word over its bits. */
function temper(word: number): number {
  let y = word;
  y ^= y >>> 11;
  y ^= (y << 7) & 0x9d2c5680;
  y ^= (y << 15) & 0xefc60000;
  return (y ^ (y >>> 18)) >>> 0;
}
