import { expect, test } from "vitest";
import { createRecipe } from "../../images/metadata/recipe.ts";
import { readOptions } from "../options.ts";
import { OPTIONS } from "./options.ts";
import { requestOf } from "./settings.ts";

const RECIPE = createRecipe({
  prompt: "a cat",
  seed: 1,
  variation: { seed: 3, strength: 0.2 },
  hires: { scale: 2, strength: 0.5 },
  extra: {
    microConditioning: { originalSize: [512, 512], negative: { cropTopLeft: [0, 16] } },
    noiseLevel: 30,
    imageGuidanceScale: 1.2,
  },
});
const request = (...line: string[]) =>
  requestOf(readOptions(OPTIONS, ["--recipe", "a.json", ...line]), "a cat", RECIPE);

test("what a recipe says stays as it is where no option changes it", async () => {
  expect(await request()).toMatchObject({
    seed: 1,
    variation: { seed: 3, strength: 0.2 },
    hires: { scale: 2, strength: 0.5 },
    microConditioning: { originalSize: [512, 512], negative: { cropTopLeft: [0, 16] } },
    noiseLevel: 30,
    imageGuidanceScale: 1.2,
  });
});

test("an option changes its own part of what a recipe says", async () => {
  const line = ["--variation-strength", "0.4", "--hires-scale", "1.5"];
  const sizes = ["--target-size", "1024x768", "--negative-target-size", "256x512"];
  expect(await request(...line, ...sizes)).toMatchObject({
    variation: { seed: 3, strength: 0.4 },
    hires: { scale: 1.5, strength: 0.5 },
    microConditioning: {
      originalSize: [512, 512],
      targetSize: [768, 1024],
      negative: { cropTopLeft: [0, 16], targetSize: [512, 256] },
    },
  });
});
