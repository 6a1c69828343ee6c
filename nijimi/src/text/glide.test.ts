import { describe, expect, it } from "vitest";
import { createGlideTokenizer, padWithMask } from "./glide.ts";
import { loadGpt2Vocabulary } from "./vocabulary/load.ts";

describe("GLIDE's tokenizer", async () => {
  const bpe = await loadGpt2Vocabulary();
  const tokenizer = createGlideTokenizer({ bpe });

  it("encodes lower-cased text without markers", () => {
    expect(tokenizer.encode("An oil painting of a Corgi").ids).toEqual([
      272, 3056, 12036, 286, 257, 1162, 12397,
    ]);
    expect(tokenizer.encode("  leading").ids).toEqual([220, 3756]);
    expect(tokenizer.decode(tokenizer.encode("I'M YOU'RE").ids)).toBe("i'm you're");
  });

  it("is GPT-2's without lower-casing", () => {
    const gpt2 = createGlideTokenizer({ bpe, lowercase: false, maxLength: 1024 });
    expect(gpt2.encode("Hello World").ids).toEqual([15496, 2159]);
  });

  it("pads and masks", () => {
    const { ids, mask } = padWithMask(tokenizer, [1, 2, 3]);
    expect(ids).toHaveLength(128);
    expect([ids[2], ids[3], ids[127]]).toEqual([3, 50256, 50256]);
    expect(mask.filter(Boolean)).toHaveLength(3);
    expect(padWithMask({ ...tokenizer, maxLength: 2 }, [1, 2, 3])).toEqual({
      ids: [1, 2],
      mask: [true, true],
    });
  });
});
