import { describe, expect, it } from "vitest";
import { loadTokenizer } from "./load-tokenizer.ts";
import { createSentencePieceTokenizer, parseSentencePieceModel } from "./sentencepiece.ts";

const KIND = { normal: 1, unknown: 2, control: 3 } as const;

/** A length-delimited or varint field. */
function field(number: number, content: Uint8Array | number): number[] {
  if (typeof content === "number") return [number << 3, content];
  if (content.length > 127) throw new Error("too long for this test");
  return [(number << 3) | 2, content.length, ...content];
}

function piece(text: string, score: number, kind: keyof typeof KIND = "normal"): number[] {
  const float = new Uint8Array(Float32Array.of(score).buffer);
  const message = [
    ...field(1, new TextEncoder().encode(text)),
    (2 << 3) | 5,
    ...float,
    ...field(3, KIND[kind]),
  ];
  return field(1, Uint8Array.from(message));
}

const MODEL = Uint8Array.from([
  ...piece("<pad>", 0, "control"),
  ...piece("</s>", 0, "control"),
  ...piece("<unk>", 0, "unknown"),
  ...piece("▁", -3),
  ...piece("a", -4),
  ...piece("b", -4.5),
  ...piece("ab", -5),
  ...piece("▁ab", -6),
  ...piece("▁a", -6.5),
  ...field(
    2,
    Uint8Array.from([
      ...field(3, 1),
      ((42 << 3) & 0x7f) | 0x80,
      (42 << 3) >> 7,
      1,
      ((43 << 3) & 0x7f) | 0x80,
      (43 << 3) >> 7,
      0,
    ]),
  ),
]);

describe("a sentencepiece model", () => {
  const model = parseSentencePieceModel(MODEL);
  const plain = createSentencePieceTokenizer({ model, flavour: "sentencepiece" });
  const t5 = createSentencePieceTokenizer({ model, extraIds: 2 });

  it("is read with its pieces and ids", () => {
    expect(model.pieces.map(({ text }) => text)).toEqual([
      "<pad>",
      "</s>",
      "<unk>",
      "▁",
      "a",
      "b",
      "ab",
      "▁ab",
      "▁a",
    ]);
    expect([model.unknown, model.end, model.padding]).toEqual([2, 1, 0]);
  });

  it("cuts a text at its most likely pieces", () => {
    const pieces = (text: string) =>
      plain.encode(text, { specialTokens: false }).ids.map((id) => plain.tokenOf(id));
    expect(pieces("ab")).toEqual(["▁ab"]);
    expect(pieces("aab")).toEqual(["▁a", "ab"]);
    expect(pieces("  a   b ")).toEqual(["▁a", "▁", "b"]);
    expect(pieces("xyz")).toEqual(["▁", "<unk>"]);
    expect(pieces("")).toEqual([]);
  });

  it("finds T5's sentinels first and adds one end token", () => {
    expect(t5.encode("a <extra_id_0> b").ids).toEqual([8, 10, 5, 1]);
    expect(t5.encode("ab</s>").ids).toEqual([7, 1]);
    expect(t5.vocabularySize).toBe(11);
    expect(t5.decode([8, 10, 1], { skipSpecialTokens: true })).toBe("a");
  });

  it("says which part of the text a piece stands for", () => {
    const { offsets } = t5.encode(" ab <extra_id_1> a");
    expect(offsets).toEqual([
      [1, 3],
      [4, 16],
      [17, 18],
      [18, 18],
    ]);
  });

  it("is loaded from a folder's files", () => {
    const tokenizer = loadTokenizer({
      "spiece.model": MODEL,
      "tokenizer_config.json": new TextEncoder().encode(
        '{"tokenizer_class":"T5Tokenizer","extra_ids":2,"model_max_length":4}',
      ),
    });
    expect(tokenizer.encode("a a a a a a").ids).toEqual([8, 8, 8, 1]);
  });

  it("is refused when damaged", () => {
    expect(() => parseSentencePieceModel(MODEL.subarray(0, 40))).toThrow(/protobuf/);
    expect(() => parseSentencePieceModel(new Uint8Array(0))).toThrow(/0 pieces/);
    expect(() =>
      parseSentencePieceModel(
        Uint8Array.from([...MODEL, ...field(2, Uint8Array.from(field(3, 2)))]),
      ),
    ).toThrow(/bpe model/);
  });
});
