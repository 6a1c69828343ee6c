import { describe, expect, it } from "vitest";
import { createBpe, mergeWord, type Bpe, type Merge } from "./bpe.ts";

/** The definition, one merge at a time. */
function mergeNaively({ ranks, merged }: Bpe, symbols: readonly number[]): number[] {
  const ids = [...symbols];
  for (;;) {
    const found = ids.slice(1).map((right, i) => ranks[ids[i]]?.get(right) ?? Infinity);
    const best = Math.min(...found, Infinity);
    if (best === Infinity) return ids;
    ids.splice(found.indexOf(best), 2, merged[best]);
  }
}

/** A BPE of random merges over four letters, each of tokens that exist already. */
function randomBpe(random: () => number): Bpe {
  const tokens = ["a", "b", "c", "d"];
  const merges = new Map<string, Merge>();
  while (merges.size < 40) {
    const [left, right] = [
      Math.floor(random() * tokens.length),
      Math.floor(random() * tokens.length),
    ];
    if (merges.has(`${left},${right}`)) continue;
    tokens.push(tokens[left] + tokens[right]);
    merges.set(`${left},${right}`, [left, right, tokens.length - 1]);
  }
  return createBpe(tokens, [...merges.values()]);
}

function generator(seed: number): () => number {
  return () => (seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
}

describe("byte-pair encoding", () => {
  it("gives what merging step by step gives", () => {
    const random = generator(7);
    for (let round = 0; round < 50; round++) {
      const bpe = randomBpe(random);
      const word = Array.from({ length: Math.floor(random() * 30) }, () =>
        Math.floor(random() * 4),
      );
      const pieces = mergeWord(bpe, word);
      expect(pieces.map(({ id }) => id)).toEqual(mergeNaively(bpe, word));
      expect(pieces.map(({ id }) => bpe.tokens[id]).join("")).toBe(
        word.map((id) => bpe.tokens[id]).join(""),
      );
      expect(pieces.reduce((sum, { length }) => sum + length, 0)).toBe(word.length);
    }
  });

  it("merges a long word in little time", () => {
    const bpe = randomBpe(generator(3));
    expect(mergeWord(bpe, Array(200_000).fill(0)).length).toBeGreaterThan(0);
  }, 5000);

  it("lets the last of equal merges count", () => {
    const bpe = createBpe(
      ["a", "b", "ab", "bb", "abb"],
      [
        [0, 1, 2],
        [1, 1, 3],
        [0, 1, 2],
      ],
    );
    expect(mergeWord(bpe, [0, 1, 1]).map(({ id }) => id)).toEqual([0, 3]);
  });
});
