/** The pipelines on a real, tiny Stable Diffusion 2: what must hold whatever the weights are. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeSafetensors } from "../checkpoints/safetensors.ts";
import { createImage } from "../images/image.ts";
import { torchGenerator } from "../tensor/random/torch.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";
import { allImages, type GenerationEvent } from "./events.ts";
import { HIRES_UPSCALERS, hiresFix } from "./hires-fix.ts";
import { imageToImage } from "./image-to-image.ts";
import { inpaint } from "./inpaint.ts";
import { outpaint } from "./outpaint.ts";
import { loadPipeline, type Pipeline } from "./pipeline.ts";
import { requestOfRecipe } from "./recipe.ts";
import type { TextToImageRequest } from "./request.ts";
import { textToImage } from "./text-to-image.ts";

const MODEL = fileURLToPath(
  new URL("../../../conformance/cases/pipelines/sd2/diffusers", import.meta.url),
);
const BASE = { prompt: "a red cat", steps: 2, seed: 7, width: 32, height: 32 };

/** A LoRA for two linear layers and a convolution of the U-Net, rank 2. */
function lora(seed: number): Uint8Array {
  const random = torchGenerator(seed);
  const entries: Record<string, Tensor> = {};
  const add = (name: string, outputs: number, inner: readonly number[]) => {
    entries[`unet.${name}.lora_A.weight`] = random.randn([2, ...inner]);
    entries[`unet.${name}.lora_B.weight`] = random.randn([
      outputs,
      2,
      ...inner.slice(1).map(() => 1),
    ]);
  };
  const block = "down_blocks.0.attentions.0.transformer_blocks.0";
  for (const name of ["attn1.to_q", "attn2.to_k"]) {
    const [outputs, inputs] = shapes[`${block}.${name}.weight`];
    add(`${block}.${name}`, outputs, [inputs]);
  }
  const [outputs, ...inner] = shapes["down_blocks.0.downsamplers.0.conv.weight"];
  add("down_blocks.0.downsamplers.0.conv", outputs, inner);
  return writeSafetensors(entries);
}

let pipeline: Pipeline;
let shapes: Readonly<Record<string, readonly number[]>>;
beforeAll(async () => {
  const bare = await loadPipeline(MODEL);
  shapes = Object.fromEntries(
    Object.entries(bare.unet.parameters).map(([name, { shape }]) => [name, shape]),
  );
  await bare.close();
  pipeline = await loadPipeline(MODEL, { loras: { one: lora(1), two: lora(2) }, threads: 1 });
}, 60_000);
afterAll(() => pipeline.close());

async function pixels(request: Partial<TextToImageRequest>): Promise<Float32Array[]> {
  const images = await allImages(textToImage(pipeline, { ...BASE, ...request }));
  return images.map((image) => image.pixels.data);
}

function difference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

const grey = (width: number, height: number) =>
  createImage(width, height, 3, new Uint8Array(width * height * 3).fill(128));

describe("text to image", () => {
  test("an image of a batch is the image of its seed alone", async () => {
    const together = await pixels({ count: 2, prompt: ["a red cat", "moon"], seed: [7, 8, 9, 10] });
    const [alone] = await pixels({ prompt: "moon", seed: 10 });
    expect(difference(together[3], alone)).toBeLessThan(1e-4);
  });

  test("prompts of different lengths do not change each other", async () => {
    const long = Array.from({ length: 90 }, () => "cat").join(" ");
    const together = await pixels({ prompt: ["moon", long], seed: [1, 2] });
    const [alone] = await pixels({ prompt: "moon", seed: 1 });
    expect(difference(together[0], alone)).toBeLessThan(1e-4);
  });

  test("one session serves every size", async () => {
    const [image] = await allImages(textToImage(pipeline, { ...BASE, width: 48, height: 24 }));
    expect([image.image.width, image.image.height]).toEqual([48, 24]);
  });

  test("the recipe makes the same image", async () => {
    const [made] = await allImages(
      textToImage(pipeline, { ...BASE, sampler: "Euler a", guidanceScale: 3, clipSkip: 2 }),
    );
    const [again] = await allImages(textToImage(pipeline, requestOfRecipe(made.recipe)));
    expect(difference(made.pixels.data, again.pixels.data)).toBe(0);
  });

  test("steps are told in order", async () => {
    const types: string[] = [];
    await allImages(textToImage(pipeline, { ...BASE, preview: {} }), ({ type }) =>
      types.push(type),
    );
    const step = ["step-start", "step-preview", "step-end"];
    expect(types).toEqual([...step, ...step, "image-ready"]);
  });

  test("a cancelled run stops within the step", async () => {
    const controller = new AbortController();
    const seen: GenerationEvent["type"][] = [];
    const run = allImages(
      textToImage(pipeline, { ...BASE, steps: 9 }, { signal: controller.signal }),
      ({ type }) => {
        seen.push(type);
        if (type === "step-end") controller.abort();
      },
    );
    await expect(run).rejects.toMatchObject({ code: "cancelled" });
    expect(seen.filter((type) => type === "step-end")).toHaveLength(1);
  });

  test.each([
    ["a size that is no multiple of the latents'", { width: 30 }, "option", /24 or 32/],
    ["a prompt of ten thousand words", { prompt: "cat ".repeat(10_000) }, "option", /tokens/],
    ["an unknown sampler", { sampler: "eulr" }, "option", /Did you mean/],
    ["an unknown LoRA", { loras: [{ name: "three" }] }, "option", /one, two/],
    ["too few seeds", { seed: [1, 2] }, "option", /2 seeds for 1/],
    [
      "latents of another size",
      { latents: float32([1, 4, 2, 2], new Float32Array(16)) },
      "shape",
      /\[1,4,4,4\]/,
    ],
  ])("refuses %s", async (_, request, code, message) => {
    const run = allImages(textToImage(pipeline, { ...BASE, ...request }));
    await expect(run).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

describe("LoRA", () => {
  test("a strength of 0 changes nothing, another changes the image", async () => {
    const [without] = await pixels({});
    const [off] = await pixels({ loras: [{ name: "one", scale: 0 }] });
    const [on] = await pixels({ loras: [{ name: "one", scale: 0.3 }] });
    expect(difference(without, off)).toBeLessThan(1e-5);
    expect(difference(without, on)).toBeGreaterThan(1e-3);
  });

  test("a tag in the prompt is the same as the option", async () => {
    const [option] = await pixels({ loras: [{ name: "one", scale: 0.3 }] });
    const [tag] = await pixels({ prompt: "a red cat<lora:one:0.3>" });
    expect(difference(option, tag)).toBe(0);
  });

  test("strengths add up, and the order of adapters does not matter", async () => {
    const [twice] = await pixels({
      loras: [
        { name: "one", scale: 0.1 },
        { name: "one", scale: 0.2 },
      ],
    });
    const [once] = await pixels({ loras: [{ name: "one", scale: 0.3 }] });
    expect(difference(twice, once)).toBeLessThan(1e-4);
    const [ab] = await pixels({
      loras: [
        { name: "one", scale: 0.2 },
        { name: "two", scale: 0.1 },
      ],
    });
    const [ba] = await pixels({
      loras: [
        { name: "two", scale: 0.1 },
        { name: "one", scale: 0.2 },
      ],
    });
    expect(difference(ab, ba)).toBeLessThan(1e-4);
  });
});

describe("with a picture", () => {
  test("the part that is kept by a mask is the picture's, up to the autoencoder", async () => {
    const image = grey(32, 32);
    const mask = createImage(32, 32, 1, new Uint8Array(32 * 32));
    const [kept] = await allImages(inpaint(pipeline, { ...BASE, image, mask }));
    const [other] = await allImages(
      inpaint(pipeline, { ...BASE, prompt: "moon", image, mask, strength: 0.5 }),
    );
    // Nothing is repainted, so both are decodings of draws from the same posterior.
    expect(difference(kept.latents.data, other.latents.data)).toBeLessThan(1e-5);
  });

  test("a small strength stays nearer to the picture", async () => {
    const request = { ...BASE, steps: 4, image: grey(32, 32), guidanceScale: 1 };
    const [near] = await allImages(imageToImage(pipeline, { ...request, strength: 0.25 }));
    const [far] = await allImages(imageToImage(pipeline, { ...request, strength: 1 }));
    expect(near.recipe.strength).toBe(0.25);
    expect(difference(near.latents.data, far.latents.data)).toBeGreaterThan(1e-3);
  });

  test.each([
    [
      "a mask of another size",
      { mask: createImage(16, 32, 1, new Uint8Array(512)) },
      "option",
      /16×32/,
    ],
    ["a strength that leaves no step", { strength: 0.1 }, "option", /leaves none/],
    ["a strength above 1", { strength: 2 }, "option", /at most 1/],
  ])("refuses %s", async (_, more, code, message) => {
    const mask = createImage(32, 32, 1, new Uint8Array(1024));
    const run = allImages(inpaint(pipeline, { ...BASE, image: grey(32, 32), mask, ...more }));
    await expect(run).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

describe("larger and beyond", () => {
  test.each(HIRES_UPSCALERS)("hires fix by %s has the new size", async (upscaler) => {
    const [made] = await allImages(
      hiresFix(pipeline, { ...BASE, hires: { scale: 1.5, upscaler, strength: 0.5 } }),
    );
    expect([made.image.width, made.image.height]).toEqual([48, 48]);
  });

  test("outpainting keeps the size of the whole canvas", async () => {
    const [made] = await allImages(
      outpaint(pipeline, { prompt: "a meadow", steps: 1, image: grey(24, 32), right: 8 }),
    );
    expect([made.image.width, made.image.height]).toEqual([32, 32]);
  });

  test("a tileable picture moves with its noise", async () => {
    const tileable = await loadPipeline(MODEL, { seamless: "x", threads: 1 });
    const noise = torchGenerator(3).randn([1, 4, 8, 8]);
    const run = (latents: typeof noise) =>
      allImages(textToImage(tileable, { ...BASE, width: 64, height: 64, steps: 1, latents }));
    const [still] = await run(noise);
    const [moved] = await run(rolled(noise, 4));
    await tileable.close();
    expect(difference(rolled(still.pixels, 32).data, moved.pixels.data)).toBeLessThan(1e-3);
  });

  /** Columns moved to the right by `by`, around the edge. */
  function rolled(x: Tensor<"float32">, by: number): Tensor<"float32"> {
    const width = x.shape[3];
    const data = x.data.map((_, i) => {
      const column = i % width;
      return x.data[i - column + ((column - by + width) % width)];
    });
    return { ...x, data };
  }
});

test("a value that is no number is reported with its step", async () => {
  const latents = float32([1, 4, 4, 4], new Float32Array(64).fill(NaN));
  const run = allImages(textToImage(pipeline, { ...BASE, latents }));
  await expect(run).rejects.toMatchObject({
    code: "numeric",
    message: expect.stringMatching(/Step 1 of 2/),
  });
});
