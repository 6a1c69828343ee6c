import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Bpe } from "../bpe.ts";
import { CLIP_MERGES } from "./clip-merges.ts";
import { GPT2_MERGES } from "./gpt2-merges.ts";
import { loadClipVocabulary, loadGpt2Vocabulary } from "./load.ts";

/** The merges in order, as `merges.txt` has them. */
function mergesOf({ tokens, ranks, merged }: Bpe): string[] {
  const lines: string[] = Array(merged.length);
  ranks.forEach((byRight, left) =>
    byRight?.forEach((rank, right) => (lines[rank] = `${tokens[left]} ${tokens[right]}`)),
  );
  return lines;
}

describe("packed vocabularies", () => {
  it.each([
    ["CLIP", loadClipVocabulary, CLIP_MERGES.sha256, 49_408],
    ["GPT-2", loadGpt2Vocabulary, GPT2_MERGES.sha256, 50_257],
  ])("%s unpacks to the merges whose hash it states", async (_, load, sha256, size) => {
    const bpe = await load();
    expect(bpe.tokens).toHaveLength(size);
    expect(bpe.ids.size).toBe(size);
    expect(createHash("sha256").update(mergesOf(bpe).join("\n")).digest("hex")).toBe(sha256);
  });

  it("has CLIP's tokens at CLIP's ids", async () => {
    const { ids } = await loadClipVocabulary();
    expect(
      ["!", "!</w>", "in", "<|startoftext|>", "<|endoftext|>"].map((token) => ids.get(token)),
    ).toEqual([0, 256, 512, 49406, 49407]);
  });
});
