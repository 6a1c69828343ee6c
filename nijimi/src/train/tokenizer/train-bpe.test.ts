import { describe, expect, it } from "vitest";
import { loadTokenizer } from "../../text/load-tokenizer.ts";
import { tokenizerFiles, trainBpe } from "./train-bpe.ts";

const TEXTS = ["red apple", "red car", "Red apple's core", "green car", "naïve 12"];

const load = (size: number, maxLength = 12) =>
  loadTokenizer(
    Object.fromEntries(
      Object.entries(tokenizerFiles(trainBpe(TEXTS, size), maxLength)).map(([name, text]) => [
        name,
        new TextEncoder().encode(text),
      ]),
    ),
  );

describe("trainBpe", () => {
  it("merges the most frequent pairs first", () => {
    const { merges, vocabulary } = trainBpe(TEXTS, 520);
    expect(merges.slice(0, 2)).toEqual(["r e", "re d</w>"]);
    expect(Object.keys(vocabulary)).toHaveLength(520);
    expect(vocabulary["<|endoftext|>"]).toBe(519);
  });

  it("gives whole words, and the text back", () => {
    const tokenizer = load(600);
    const { ids } = tokenizer.encode("Red apple car");
    expect(ids.map((id) => tokenizer.tokenOf(id))).toEqual([
      "<|startoftext|>",
      "red</w>",
      "apple</w>",
      "car</w>",
      "<|endoftext|>",
    ]);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe("red apple car");
  });

  it("writes unknown words by their bytes", () => {
    const tokenizer = load(600, 60);
    const { ids } = tokenizer.encode("zebra 漢字");
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe("zebra 漢字");
  });

  it("stops when nothing is left to merge, and refuses sizes without room for bytes", () => {
    expect(Object.keys(trainBpe(["a b"], 1000).vocabulary)).toHaveLength(514);
    expect(() => trainBpe(TEXTS, 513)).toThrow("bytes and markers alone are 514");
  });
});
