import { describe, expect, it } from "vitest";
import { createTokenizerFromJson } from "./tokenizer-json.ts";

const UNIGRAM = {
  added_tokens: [
    { id: 0, content: "<pad>", special: true },
    { id: 1, content: "</s>", special: true },
  ],
  normalizer: { type: "Sequence", normalizers: [{ type: "NFKC" }, { type: "Lowercase" }] },
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      { type: "WhitespaceSplit" },
      { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
    ],
  },
  post_processor: {
    type: "TemplateProcessing",
    single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
  },
  decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
  model: {
    type: "Unigram",
    unk_id: 2,
    vocab: [
      ["<pad>", 0],
      ["</s>", 0],
      ["<unk>", 0],
      ["▁", -3],
      ["c", -4],
      ["cat", -5],
      ["▁cat", -6],
      ["s", -4],
    ],
  },
};

const BYTE_LEVEL = {
  added_tokens: [
    { id: 4, content: "<|start|>", special: true },
    { id: 5, content: "<|end|>", special: true },
  ],
  normalizer: { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      {
        type: "Split",
        pattern: { Regex: "[\\p{L}]+|[^\\s\\p{L}]+" },
        behavior: "Removed",
        invert: true,
      },
      { type: "ByteLevel", add_prefix_space: false },
    ],
  },
  post_processor: { type: "RobertaProcessing", cls: ["<|start|>", 4], sep: ["<|end|>", 5] },
  decoder: { type: "ByteLevel" },
  model: {
    type: "BPE",
    unk_token: "<|end|>",
    end_of_word_suffix: "</w>",
    vocab: { a: 0, "b</w>": 1, "ab</w>": 2, "a</w>": 3, "<|end|>": 5 },
    merges: ["a b</w>"],
  },
};

describe("tokenizer.json", () => {
  it("runs a unigram model between its normaliser and its template", () => {
    const tokenizer = createTokenizerFromJson(UNIGRAM);
    expect(tokenizer.encode("CAT ｃat  s</s>cats").ids).toEqual([6, 6, 3, 7, 1, 6, 7, 1]);
    expect(tokenizer.decode([6, 6, 3, 7, 1])).toBe("cat cat s</s>");
    expect(tokenizer.decode([6, 1], { skipSpecialTokens: true })).toBe("cat");
    expect(tokenizer.special).toMatchObject({ end: 1, padding: 0, unknown: 2 });
    expect(tokenizer.encode("cat Cat").offsets).toEqual([
      [0, 3],
      [4, 7],
      [7, 7],
    ]);
  });

  it("runs a byte-level model with word ends", () => {
    const tokenizer = createTokenizerFromJson(BYTE_LEVEL, { maxLength: 6 });
    expect(tokenizer.encode("ab  aab").ids).toEqual([4, 2, 0, 2, 5]);
    expect(tokenizer.encode("<|end|>é").ids).toEqual([4, 5, 5, 5, 5]);
  });

  it("takes charsmap files as they are, and none for nothing", () => {
    const json = { ...UNIGRAM, normalizer: { type: "Precompiled", precompiled_charsmap: "" } };
    expect(createTokenizerFromJson(json).encode("cat").ids).toEqual([6, 1]);
    const damaged = {
      ...UNIGRAM,
      normalizer: { type: "Precompiled", precompiled_charsmap: "AAECAw==" },
    };
    expect(() => createTokenizerFromJson(damaged)).toThrow(/charsmap/);
  });

  it("refuses what it does not know by name", () => {
    expect(() => createTokenizerFromJson({ ...UNIGRAM, model: { type: "WordPiece" } })).toThrow(
      /"WordPiece".*Unigram, BPE/,
    );
    expect(() =>
      createTokenizerFromJson({ ...UNIGRAM, normalizer: { type: "BertNormalizer" } }),
    ).toThrow(/"BertNormalizer"/);
    expect(() =>
      createTokenizerFromJson({ ...UNIGRAM, pre_tokenizer: { type: "Punctuation" } }),
    ).toThrow(/"Punctuation"/);
    expect(() =>
      createTokenizerFromJson({
        ...UNIGRAM,
        model: { type: "Unigram", unk_id: 0, vocab: [["a"]] },
      }),
    ).toThrow(/score of piece 0 must be a number; got nothing/);
    expect(() => createTokenizerFromJson([])).toThrow(/must be an object; got a list/);
    expect(() =>
      createTokenizerFromJson({ ...BYTE_LEVEL, model: { ...BYTE_LEVEL.model, merges: ["a q"] } }),
    ).toThrow(/"q" is not in the vocabulary/);
  });
});
