import { beforeAll, describe, expect, it } from "vitest";
import type { Bpe } from "./bpe.ts";
import { CLIP_CLEANINGS, type ClipCleaning } from "./clip-cleaning.ts";
import { createClipTokenizer } from "./clip.ts";
import { embeddingTokens, spellOutEmbeddings } from "./textual-inversion.ts";
import { loadClipVocabulary } from "./vocabulary/load.ts";

let bpe: Bpe;
beforeAll(async () => {
  bpe = await loadClipVocabulary();
});

const encode = (text: string, cleaning: ClipCleaning = "transformers"): readonly number[] =>
  createClipTokenizer({ bpe, cleaning }).encode(text).ids;

// Expected ids are those of the programs that the cleanings are named after.
describe("CLIP's tokenizer", () => {
  it.each(CLIP_CLEANINGS)("%s agrees with the others on ordinary prompts", (cleaning) => {
    expect(encode("a photo of a cat", cleaning)).toEqual([49406, 320, 1125, 539, 320, 2368, 49407]);
    expect(encode("", cleaning)).toEqual([49406, 49407]);
  });

  it("follows each program where they differ", () => {
    expect(encode("&unknown; &copy")).toEqual([49406, 261, 8685, 282, 261, 4509, 49407]);
    expect(encode("&unknown; &copy", "openai")).toEqual([49406, 261, 8685, 282, 5811, 49407]);
    expect(encode("ﬁne ligature ﬂow", "transformers-fast")).toEqual([
      49406, 171, 105, 223, 1422, 19915, 4490, 171, 105, 224, 2250, 49407,
    ]);
    expect(encode("ﬁne ligature ﬂow")).toEqual([49406, 3797, 19915, 4490, 5608, 49407]);
    expect(encode("<|ENDOFTEXT|>")).toEqual([49406, 49407, 49407]);
    expect(encode("<|endoftext|>", "open_clip")).toEqual([
      49406, 27, 347, 40786, 4160, 91, 285, 49407,
    ]);
    expect(encode("<end_of_text>", "open_clip")).toEqual([49406, 49407, 49407]);
  });

  it("cuts the text at markers before it cleans, as transformers does", () => {
    const text = "cat.<|startoftext|>&amp;";
    expect(encode(text)).toEqual([49406, 2368, 269, 49406, 261, 49407]);
    expect(encode(text, "transformers-fast")).toEqual([
      49406, 2368, 269, 49406, 261, 6259, 282, 49407,
    ]);
  });

  it("cuts to 77 and keeps the end token", () => {
    const { ids, offsets } = createClipTokenizer({ bpe }).encode("word ".repeat(100));
    expect(ids).toHaveLength(77);
    expect(offsets).toHaveLength(77);
    expect([ids[75], ids[76]]).toEqual([bpe.ids.get("word</w>"), 49407]);
    expect(
      createClipTokenizer({ bpe }).encode("word ".repeat(100), { maxLength: null }).ids,
    ).toHaveLength(102);
  });

  it("pads with the end token, or with what Stable Diffusion 2 pads with", () => {
    expect(createClipTokenizer({ bpe }).encode("cat", { padding: true }).ids).toEqual([
      49406,
      2368,
      ...Array(75).fill(49407),
    ]);
    expect(
      createClipTokenizer({ bpe, paddingToken: "!" })
        .encode("cat", { padding: true })
        .ids.slice(2, 5),
    ).toEqual([49407, 0, 0]);
  });

  it("says which part of the prompt a token stands for", () => {
    const text = "A  schÃ¶n\tﬁne &amp; 🙂";
    const { ids, offsets } = createClipTokenizer({ bpe }).encode(text);
    expect(offsets.map(([start, end]) => text.slice(start, end))).toEqual([
      "",
      "A",
      "sch",
      "Ã¶",
      "n",
      "ﬁne",
      "&amp;",
      "🙂",
      "",
    ]);
    expect(ids).toHaveLength(offsets.length);
  });

  it("decodes what it encoded", () => {
    const tokenizer = createClipTokenizer({ bpe });
    const { ids } = tokenizer.encode("a red cat, isn't it 🙂");
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe("a red cat , isn 't it 🙂");
    expect(tokenizer.decode([49406, 320])).toBe("<|startoftext|>a");
  });

  it("finds added tokens before anything else", () => {
    const addedTokens = [
      ...embeddingTokens("<Cat-toy>", 2, 49408),
      { content: "!", id: 0, special: true },
    ];
    const tokenizer = createClipTokenizer({ bpe, addedTokens });
    expect(tokenizer.vocabularySize).toBe(49410);
    expect(tokenizer.encode("a <Cat-toy>_1<Cat-toy>!").ids).toEqual([
      49406, 320, 49409, 49408, 0, 49407,
    ]);
    expect(spellOutEmbeddings("a <Cat-toy>.", addedTokens)).toBe("a <Cat-toy> <Cat-toy>_1.");
  });

  it("refuses a marker or a cleaning that it does not know", () => {
    expect(() => createClipTokenizer({ bpe, endToken: "</s>" })).toThrow(/Unknown token "<\/s>"/);
    expect(() => createClipTokenizer({ bpe, cleaning: "ftfy" as ClipCleaning })).toThrow(
      /Accepted: transformers/,
    );
  });

  it("takes any text", () => {
    for (const text of [
      "\ud800",
      "\0",
      "a".repeat(100_000),
      "🙂".repeat(20_000),
      "&#".repeat(20_000),
    ])
      expect(encode(text)[0]).toBe(49406);
  });
});
