import { expect, test } from "vitest";
import { float32 } from "../../tensor/tensor.ts";
import { entryOf, type Entry, type Metadata } from "../checkpoint.ts";
import { readTextualInversion } from "./textual-inversion.ts";

const vectors = (...shape: number[]): Entry =>
  entryOf(float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1))));

const read = (entries: Record<string, Entry>, metadata: Metadata = {}) =>
  readTextualInversion({ entries, metadata });

test("the original form has name and step beside its vectors", () => {
  const found = read({ "string_to_param.*": vectors(3, 8) }, { name: "style", step: 500 });
  expect(found).toMatchObject({ token: "style", count: 3, steps: 500 });
  expect(found?.vectors.text_encoder.shape).toEqual([3, 8]);
});

test("A1111's safetensors have no word", () => {
  expect(read({ emb_params: vectors(2, 8) })).toMatchObject({ token: undefined, count: 2 });
});

test("diffusers' form is called as the word, and one vector is a row", () => {
  const found = read({ "<cat>": vectors(8) });
  expect(found).toMatchObject({ token: "<cat>", count: 1 });
  expect(found?.vectors.text_encoder.shape).toEqual([1, 8]);
});

test.each([
  ["clip_l", "clip_g"],
  ["text_encoders_0", "text_encoders_1"],
])("SDXL's pair %s and %s is for both text encoders", (first, second) => {
  const found = read({ [first]: vectors(2, 8), [second]: vectors(2, 12) });
  expect(found?.vectors.text_encoder.shape).toEqual([2, 8]);
  expect(found?.vectors.text_encoder_2.shape).toEqual([2, 12]);
});

test("a pair of unequal numbers of vectors is refused", () => {
  expect(() => read({ clip_l: vectors(2, 8), clip_g: vectors(3, 12) })).toThrow(/as many vectors/);
});

test("other tensors are no embedding", () => {
  expect(read({ "conv.weight": vectors(2, 8) })).toBeUndefined();
  expect(read({ a: vectors(2), b: vectors(2) })).toBeUndefined();
});
