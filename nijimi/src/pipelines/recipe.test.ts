import { expect, it } from "vitest";
import { createImage } from "../images/image.ts";
import { adaptersOfRecipe, recipeOf, requestOfRecipe } from "./recipe.ts";

const FACTS = {
  task: "text-to-image",
  width: 64,
  height: 64,
  steps: 2,
  guidanceScale: 3,
  plan: { sampler: "DDIMScheduler" },
  prompt: "a cat",
  strength: 1,
  seed: 7,
  index: 0,
  batch: 1,
  changes: {},
} as const;

it("holds how adapters were used, and none of the pictures that they looked at", () => {
  const image = createImage(1, 1, 3, new Uint8Array(3));
  const request = {
    prompt: "a cat",
    control: [{ name: "edges", image, scale: 0.5, end: 0.8 }],
    adapters: [{ name: "depth", image }],
    imagePrompts: [{ name: "style", images: [image], scale: 0.6 }],
  };
  const pipeline = { name: "a/model", family: "f", loadedWith: { precision: "float32" } } as const;
  const recipe = recipeOf(pipeline, request, FACTS);
  expect(adaptersOfRecipe(recipe)).toEqual({
    control: [{ name: "edges", scale: 0.5, end: 0.8 }],
    adapters: [{ name: "depth" }],
    imagePrompts: [{ name: "style", scale: 0.6 }],
  });
  expect(requestOfRecipe(recipe)).not.toHaveProperty("control");
  const plain = recipeOf(pipeline, { prompt: "a cat" }, FACTS);
  expect(adaptersOfRecipe(plain)).toEqual({ control: [], adapters: [], imagePrompts: [] });
});
