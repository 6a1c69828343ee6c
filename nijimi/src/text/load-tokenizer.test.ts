import { describe, expect, it } from "vitest";
import { loadTokenizer } from "./load-tokenizer.ts";

const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

const VOCABULARY = { "!": 0, a: 1, "b</w>": 2, "ab</w>": 3, "<s>": 4, "<e>": 5 };
const FILES = {
  "vocab.json": bytes(VOCABULARY),
  "merges.txt": bytes("#version: 0.2\na b</w>\n"),
  "tokenizer_config.json": bytes({
    tokenizer_class: "CLIPTokenizer",
    model_max_length: 5,
    bos_token: { content: "<s>" },
    eos_token: "<e>",
    pad_token: "!",
    added_tokens_decoder: { 0: { content: "!", special: true } },
  }),
};

describe("loading a tokenizer from a folder's files", () => {
  it("reads CLIP's, with its markers, its length and its added tokens", () => {
    const tokenizer = loadTokenizer(FILES);
    expect(tokenizer.special).toEqual({ start: 4, end: 5, padding: 0, unknown: 5 });
    expect(tokenizer.encode("ab!", { padding: true }).ids).toEqual([4, 3, 0, 5, 0]);
  });

  it("adds the words of textual inversion", () => {
    const tokenizer = loadTokenizer(FILES, { addedTokens: [{ content: "<cat>", id: 6 }] });
    expect(tokenizer.encode("ab<cat>ab").ids).toEqual([4, 3, 6, 3, 5]);
  });

  it("reads added tokens of older folders", () => {
    const config = bytes({ bos_token: "<s>", eos_token: "<e>" });
    const tokenizer = loadTokenizer({
      ...FILES,
      "tokenizer_config.json": config,
      "added_tokens.json": bytes({ "<dog>": 6 }),
    });
    expect(tokenizer.encode("<dog>").ids).toEqual([4, 6, 5]);
    expect(tokenizer.maxLength).toBe(77);
  });

  it("says what is wrong", () => {
    expect(() => loadTokenizer({ "vocab.json": FILES["vocab.json"] })).toThrow(
      /no vocabulary among the files \[vocab.json\]/,
    );
    expect(() => loadTokenizer({ ...FILES, "vocab.json": bytes("{") })).toThrow(
      /vocab.json is not JSON/,
    );
    expect(() => loadTokenizer({ ...FILES, "vocab.json": bytes({ a: -1 }) })).toThrow(
      /id of "a" must be a whole number/,
    );
    expect(() => loadTokenizer({ ...FILES, "vocab.json": bytes({ a: 2 ** 40 }) })).toThrow(
      /ids reach to/,
    );
    expect(() => loadTokenizer({ ...FILES, "merges.txt": bytes("a b c") })).toThrow(
      /expected two parts/,
    );
  });
});
