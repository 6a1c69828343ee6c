import { describe, expect, it } from "vitest";
import { float32 } from "../../tensor/tensor.ts";
import { createClipTokenizer } from "../clip.ts";
import { loadClipVocabulary } from "../vocabulary/load.ts";
import { chunkPrompt, padChunks, type ChunkOptions } from "./chunks.ts";
import { applyEmphasis } from "./emphasis.ts";
import { planPrompt } from "./plan.ts";

describe("chunks of a prompt", async () => {
  const bpe = await loadClipVocabulary();
  const tokenizer = createClipTokenizer({ bpe });
  const chunk = (text: string, options: Partial<ChunkOptions> = {}) =>
    chunkPrompt(text, { tokenizer, ...options });
  const word = bpe.ids.get("word</w>")!;
  const comma = bpe.ids.get(",</w>")!;

  it("puts a short prompt into one chunk with its weights", () => {
    const { chunks, tokens } = chunk("a (red:1.3) apple");
    expect(tokens).toBe(3);
    expect(chunks).toHaveLength(1);
    expect(chunks[0].ids.slice(0, 6)).toEqual([49406, 320, 736, 3055, 49407, 49407]);
    expect(chunks[0].weights.slice(0, 5)).toEqual([1, 1, 1.3, 1, 1]);
    expect([chunks[0].ids.length, chunks[0].weights.length]).toEqual([77, 77]);
  });

  it("makes one empty chunk of nothing", () => {
    expect(chunk("")).toEqual({
      chunks: [
        { ids: [49406, ...Array(76).fill(49407)], weights: Array(77).fill(1), embeddings: [] },
      ],
      tokens: 0,
    });
  });

  it("goes on in a next chunk, and from the last comma where that is near", () => {
    const text = `${"word ".repeat(70)}, ${"word ".repeat(10)}`;
    const [first, second] = chunk(text).chunks;
    expect([first.ids[70], first.ids[71], first.ids[72]]).toEqual([word, comma, 49407]);
    expect(second.ids.slice(1, 12)).toEqual([...Array(10).fill(word), 49407]);
    const [full] = chunk(text, { commaBacktrack: 0 }).chunks;
    expect(full.ids[75]).toBe(word);
  });

  it("ends a chunk at BREAK", () => {
    const { chunks, tokens } = chunk("word BREAK word");
    expect(chunks.map(({ ids }) => ids.slice(0, 3))).toEqual([
      [49406, word, 49407],
      [49406, word, 49407],
    ]);
    expect(tokens).toBe(76);
  });

  it("pads after the end token with what the model pads with", () => {
    const [{ ids }] = chunkPrompt("word", {
      tokenizer: createClipTokenizer({ bpe, paddingToken: "!" }),
    }).chunks;
    expect(ids.slice(0, 5)).toEqual([49406, word, 49407, 0, 0]);
  });

  it("leaves room for embeddings and keeps them whole", () => {
    const embeddings = [{ name: "word", ids: [word], vectors: 30 }];
    const { chunks } = chunk("word word word", { embeddings });
    expect(chunks.map((one) => one.embeddings)).toEqual([
      [
        { offset: 1, name: "word" },
        { offset: 31, name: "word" },
      ],
      [{ offset: 1, name: "word" }],
    ]);
    expect(() =>
      chunk("word", { embeddings: [{ name: "word", ids: [word], vectors: 76 }] }),
    ).toThrow(/76 vectors/);
  });

  it("reads no weights where emphasis is off", () => {
    expect(chunk("(word:2)", { emphasis: false }).chunks[0].weights).toEqual(Array(77).fill(1));
  });

  it("gives prompts of a batch as many chunks each", () => {
    const rows = padChunks([chunk("word"), chunk("word BREAK word")], { tokenizer });
    expect(rows.map((row) => row.length)).toEqual([2, 2]);
    expect(rows[0][1].ids[1]).toBe(49407);
  });

  it("takes ten thousand words", () => {
    expect(chunk("word, ".repeat(10_000)).chunks.length).toBeGreaterThan(200);
  }, 10_000);
});

describe("emphasis", () => {
  const hidden = float32([1, 2, 2], [1, 2, 3, 4]);

  it("restores the mean", () => {
    expect([...applyEmphasis(hidden, [[1, 2]]).data]).toEqual(
      [1, 2, 6, 8].map((value) => Math.fround(value * (2.5 / 4.25))),
    );
  });

  it("leaves the mean as it comes, or the weights away", () => {
    expect([...applyEmphasis(hidden, [[1, 2]], "no-norm").data]).toEqual([1, 2, 6, 8]);
    expect(applyEmphasis(hidden, [[1, 2]], "ignore")).toBe(hidden);
  });

  it("treats each text of a batch by itself", () => {
    const both = applyEmphasis(float32([2, 1, 2], [1, 3, 5, 7]), [[2], [3]]);
    expect([...both.data]).toEqual([1, 3, 5, 7]);
  });

  it("wants a weight for every token", () => {
    expect(() => applyEmphasis(hidden, [[1]])).toThrow(/expected \[B, T, C\] and \[B, T\]/);
  });
});

describe("plans", () => {
  it("take networks, parts and schedules out of a prompt", () => {
    expect(planPrompt("a [red:green:0.5] cat:2 AND dog <lora:ink:0.8>", { steps: 20 })).toEqual({
      networks: [{ kind: "lora", positional: ["ink", "0.8"], named: {} }],
      parts: [
        {
          weight: 2,
          schedule: [
            { until: 10, text: "a red cat" },
            { until: 20, text: "a green cat" },
          ],
        },
        { weight: 1, schedule: [{ until: 20, text: " dog" }] },
      ],
    });
  });

  it("leave a plain prompt as it is", () => {
    const prompt = "(a) AND [b|c] <lora:x:1>";
    expect(planPrompt(prompt, { steps: 20, grammar: "plain" })).toEqual({
      networks: [],
      parts: [{ weight: 1, schedule: [{ until: 20, text: prompt }] }],
    });
  });
});
