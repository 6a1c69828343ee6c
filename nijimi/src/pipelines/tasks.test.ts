/** Tasks and adapters on tiny models of their kinds: what must hold beside agreement with the reference. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createImage } from "../images/image.ts";
import { slerpRows } from "./conditioning/blend.ts";
import { editImage } from "./edit-image.ts";
import { allImages, type Generation, type ImageReady } from "./events.ts";
import { imageToImage } from "./image-to-image.ts";
import { inpaint } from "./inpaint.ts";
import { interpolatePrompts } from "./interpolate-prompts.ts";
import { loadPipeline, type Pipeline, type PipelineOptions } from "./pipeline.ts";
import { requestOfRecipe } from "./recipe.ts";
import { baseAndRefiner } from "./refine.ts";
import type { TextToImageRequest } from "./request.ts";
import { textToImage } from "./text-to-image.ts";
import { upscale } from "./upscale.ts";

const CASES = fileURLToPath(new URL("../../../conformance/cases/pipelines/", import.meta.url));
const SD = join(CASES, "sd2/diffusers");
const task = (name: string): string => join(CASES, "tasks", name);
const BASE = { prompt: "a red cat", steps: 2, seed: 7, width: 32, height: 32 };

const image = createImage(
  32,
  32,
  3,
  Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => (i * 7) % 256),
);

const open: Pipeline[] = [];
async function load(path: string, options: PipelineOptions = {}): Promise<Pipeline> {
  const pipeline = await loadPipeline(path, { threads: 1, ...options });
  open.push(pipeline);
  return pipeline;
}
afterAll(() => Promise.all(open.map((pipeline) => pipeline.close())));

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await load(SD, {
    imageEncoder: task("image-encoder"),
    imagePrompts: { one: task("ip.safetensors"), plus: task("ip-plus.safetensors") },
    adapters: { colour: task("t2i-colour") },
    safetyChecker: task("safety-checker"),
  });
});

async function picture(request: Partial<TextToImageRequest>, own = pipeline): Promise<ImageReady> {
  const [made] = await allImages(textToImage(own, { ...BASE, ...request }));
  return made;
}

function difference(a: ImageReady, b: ImageReady): number {
  return a.pixels.data.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - b.pixels.data[i])),
    0,
  );
}

describe("adapters", () => {
  test.each<[string, Partial<TextToImageRequest>, Partial<TextToImageRequest>]>([
    [
      "an IP-Adapter",
      { imagePrompts: [{ name: "one", images: [image], scale: 0 }] },
      { imagePrompts: [{ name: "one", images: [image], scale: 0.5 }] },
    ],
    [
      "a T2I-Adapter",
      { adapters: [{ name: "colour", image, scale: 0 }] },
      { adapters: [{ name: "colour", image }] },
    ],
    [
      "FreeU",
      { freeU: { s1: 1, s2: 1, b1: 1, b2: 1 } },
      { freeU: { s1: 0.5, s2: 0.5, b1: 1.5, b2: 1.5 } },
    ],
  ])("%s changes nothing when it is off, also after it was on", async (_, off, on) => {
    const without = await picture({});
    expect(difference(await picture(off), without)).toBeLessThan(1e-5);
    expect(difference(await picture(on), without)).toBeGreaterThan(1e-3);
    expect(difference(await picture({}), without)).toBeLessThan(1e-5);
  });

  test("the order of IP-Adapters does not matter", async () => {
    const a = { name: "one", images: [image], scale: 0.5 };
    const b = { name: "plus", images: [image], scale: 0.3 };
    const [ab, ba] = [
      await picture({ imagePrompts: [a, b] }),
      await picture({ imagePrompts: [b, a] }),
    ];
    expect(difference(ab, ba)).toBeLessThan(1e-5);
  });

  test.each<[string, Partial<TextToImageRequest>, RegExp]>([
    ["an unknown IP-Adapter", { imagePrompts: [{ name: "two", images: [image] }] }, /one, plus/],
    [
      "an IP-Adapter without pictures",
      { imagePrompts: [{ name: "one", images: [] }] },
      /at least one/,
    ],
    ["FreeU of no numbers", { freeU: { s1: NaN, s2: 1, b1: 1, b2: 1 } }, /must be numbers/],
  ])("refuses %s", async (_, request, message) => {
    await expect(picture(request)).rejects.toMatchObject({
      code: "option",
      message: expect.stringMatching(message),
    });
  });

  test("an IP-Adapter for another U-Net is refused", async () => {
    const other = await load(task("xl-base"), {
      imageEncoder: task("image-encoder"),
      imagePrompts: { one: task("ip.safetensors") },
    });
    const request = { imagePrompts: [{ name: "one", images: [image] }] };
    await expect(picture(request, other)).rejects.toMatchObject({ code: "checkpoint" });
  });

  test("an IP-Adapter without an image encoder is refused", async () => {
    const bare = await load(SD, { imagePrompts: { one: task("ip.safetensors") } });
    const request = { imagePrompts: [{ name: "one", images: [image] }] };
    await expect(picture(request, bare)).rejects.toMatchObject({
      message: expect.stringMatching(/imageEncoder/),
    });
  });
});

describe("a way through prompts", () => {
  test("begins and ends with the prompts' own pictures", async () => {
    const { prompt: _, ...request } = BASE;
    const prompts = ["a red cat", "moon", "a house"];
    const frames = await allImages(
      interpolatePrompts(pipeline, { ...request, prompts, frames: 5 }),
    );
    expect(frames.map(({ index, count }) => [index, count])).toEqual(
      [0, 1, 2, 3, 4].map((index) => [index, 5]),
    );
    for (const [i, prompt] of prompts.entries())
      expect(difference(frames[2 * i], await picture({ prompt }))).toBeLessThan(1e-4);
    expect(difference(frames[1], frames[0])).toBeGreaterThan(1e-3);
    const again = await allImages(textToImage(pipeline, requestOfRecipe(frames[1].recipe)));
    expect(difference(again[0], frames[1])).toBe(0);
  });

  test("between two vectors of one length all have that length", () => {
    const row = (...data: number[]) =>
      ({ dtype: "float32", shape: [1, 2], data: Float32Array.from(data) }) as const;
    for (const t of [0.1, 0.5, 0.8])
      expect(Math.hypot(...slerpRows(row(3, 0), row(0, 3), t).data)).toBeCloseTo(3);
    expect([...slerpRows(row(2, 0), row(4, 0), 0.5).data]).toEqual([3, 0]);
  });

  test.each([{ prompts: ["a"] }, { prompts: ["a", "b"], frames: 1 }])(
    "%j is refused",
    async (own) => {
      const { prompt: _, ...request } = BASE;
      const run = allImages(interpolatePrompts(pipeline, { ...request, ...own }));
      await expect(run).rejects.toMatchObject({ code: "option" });
    },
  );
});

describe("safety checker", () => {
  test("is off unless asked for; asked for, it reports and leaves the picture as it is", async () => {
    const plain = await picture({});
    expect(plain.safety).toBeUndefined();
    const checked = await picture({ checkSafety: true });
    expect(checked.safety).toMatchObject({ flagged: expect.any(Boolean) });
    expect(difference(plain, checked)).toBe(0);
  });

  test("without its weights is refused before anything is made", async () => {
    const bare = await load(SD);
    await expect(picture({ checkSafety: true }, bare)).rejects.toMatchObject({
      code: "option",
      message: expect.stringMatching(/no safety checker/),
    });
  });
});

test("in little memory the picture is the same", async () => {
  const frugal = await load(SD, { lowMemory: true });
  const [first, second] = [await picture({}, frugal), await picture({}, frugal)];
  expect(difference(first, await picture({}))).toBe(0);
  expect(difference(first, second)).toBe(0);
});

describe("the wrong model", () => {
  type Run = (own: Pipeline) => Generation;
  const mask = createImage(32, 32, 1, new Uint8Array(32 * 32).fill(255));
  const runs: Record<string, Run> = {
    "text to image": (own) => textToImage(own, BASE),
    "image to image": (own) => imageToImage(own, { ...BASE, image }),
    inpainting: (own) => inpaint(own, { ...BASE, image, mask }),
    upscaling: (own) => upscale(own, { ...BASE, image }),
    editing: (own) => editImage(own, { ...BASE, image }),
  };
  test.each([
    ["text to image", "upscaler", /7 channels.*upscaling/],
    ["text to image", "pix2pix", /8 channels.*editing/],
    ["text to image", "depth", /5 channels.*depth/],
    ["image to image", "upscaler", /7 channels.*upscaling/],
    ["inpainting", "pix2pix", /8 channels/],
    ["upscaling", "pix2pix", /no upscaler/],
    ["editing", "upscaler", /upscaling/],
  ])("for %s, %s, is named", async (name, model, message) => {
    const run = allImages(runs[name](await load(task(model))));
    await expect(run).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(message),
    });
  });

  test("as a refiner is refused", async () => {
    const run = allImages(baseAndRefiner(pipeline, await load(task("upscaler")), BASE));
    await expect(run).rejects.toMatchObject({ code: "unsupported" });
  });

  test("a depth map where none is seen, and none where it is", async () => {
    const blind = allImages(imageToImage(pipeline, { ...BASE, image, depth: image }));
    await expect(blind).rejects.toMatchObject({ message: expect.stringMatching(/does not see/) });
    const seeing = allImages(imageToImage(await load(task("depth")), { ...BASE, image }));
    await expect(seeing).rejects.toMatchObject({ message: expect.stringMatching(/give a depth/) });
  });
});

test.each([{ denoisingEnd: 0 }, { denoisingEnd: 0.5, denoisingStart: 0.5 }, { denoisingStart: 2 }])(
  "a share of the way that leaves no step is refused: %j",
  async (own) => {
    await expect(picture(own)).rejects.toMatchObject({ code: "option" });
  },
);

test("a decoder that gives no numbers is told apart from the network", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vae-"));
  try {
    cpSync(join(SD, "vae"), folder, { recursive: true });
    const file = join(folder, "diffusion_pytorch_model.safetensors");
    writeFileSync(file, withNaN(readFileSync(file), "post_quant_conv.bias"));
    const own = await load(SD, { vae: folder });
    await expect(picture({}, own)).rejects.toMatchObject({
      code: "numeric",
      message: expect.stringMatching(/float32/),
    });
    await own.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** A safetensors file with bits of NaN in a half-precision tensor. */
function withNaN(bytes: Buffer, name: string): Buffer {
  const header = 8 + Number(bytes.readBigUInt64LE());
  const entries = JSON.parse(bytes.subarray(8, header).toString()) as Record<
    string,
    { dtype: string; data_offsets: readonly [number, number] }
  >;
  const [from, to] = entries[name].data_offsets;
  return Buffer.concat([
    bytes.subarray(0, header + from),
    Buffer.alloc(to - from, 0xff),
    bytes.subarray(header + to),
  ]);
}
