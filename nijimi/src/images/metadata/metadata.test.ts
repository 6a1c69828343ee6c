import sharp from "sharp";
import { zlibSync } from "fflate";
import { describe, expect, it } from "vitest";
import { encodeImage } from "../codec.ts";
import { writeExif } from "../exif.ts";
import { createImage } from "../image.ts";
import { withJpegExif } from "../jpeg.ts";
import { encodePng } from "../png/encode.ts";
import { IMAGE_FORMATS } from "../probe.ts";
import {
  parametersTextOf,
  parseParametersText,
  recipeOfParametersText,
} from "./parameters-text.ts";
import { textChunk } from "./png-text.ts";
import { readMetadata } from "./read.ts";
import { createRecipe, parseRecipe } from "./recipe.ts";
import { recipeTexts } from "./write.ts";

const image = createImage(8, 8, 3, new Uint8Array(192).fill(90));
const withTexts = (texts: Record<string, string>) =>
  encodePng(image, {
    chunks: Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text)),
  });

const recipe = createRecipe({
  software: "nijimi 0.1.0",
  prompt: 'a "red" fox, 富士山\nsecond line',
  negativePrompt: "blurry",
  grammar: "a1111",
  seed: 1234,
  noise: "philox",
  width: 512,
  height: 768,
  steps: 20,
  sampler: "Euler a",
  guidanceScale: 7.5,
  clipSkip: 2,
  model: { name: "ink: v1", sha256: "0123456789abcdef".repeat(4) },
  loras: [{ name: "brush", sha256: "fedcba987654", weight: 0.8 }],
});

describe("a picture's recipe", () => {
  it.each(IMAGE_FORMATS)("comes back from %s", async (format) => {
    const bytes = await encodeImage(image, { format, metadata: recipeTexts(recipe) });
    const metadata = readMetadata(bytes);
    expect(metadata.source).toBe("nijimi");
    expect(metadata.recipe).toEqual(recipe);
    expect(metadata.texts.parameters).toBe(parametersTextOf(recipe));
  });

  it.each(["png", "jpeg", "webp"] as const)("leaves a %s that others read", async (format) => {
    const bytes = await encodeImage(image, { format, metadata: recipeTexts(recipe) });
    expect(await sharp(bytes).metadata()).toMatchObject({ format, width: 8, height: 8 });
  });

  it("is checked", () => {
    expect(() => createRecipe({ steps: 0 })).toThrow(/^recipe: steps:/);
    expect(() => parseRecipe("{}")).toThrow(/^recipe: schema:/);
    expect(() => parseRecipe("not JSON")).toThrow(/not a recipe's JSON/);
    expect(parseRecipe(JSON.stringify({ ...recipe, later: 1 }))).toMatchObject({ later: 1 });
  });
});

describe("the web UI's text", () => {
  const text = `a fox, (red:1.3)
second line
Negative prompt: blurry,
bad hands
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 18446744073709551615, Size: 512x768, Model hash: 0123456789, Model: ink, Variation seed: 5, Variation seed strength: 0.1, Denoising strength: 0.4, Clip skip: 2, RNG: NV, Hires upscale: 2, Hires upscaler: Latent, Lora hashes: "brush: fedcba987654, two: 0123456789ab", Version: v1.10.1`;

  it("is read", () => {
    expect(recipeOfParametersText(text)).toEqual({
      schema: "nijimi/recipe@1",
      software: "v1.10.1",
      prompt: "a fox, (red:1.3)\nsecond line",
      negativePrompt: "blurry,\nbad hands",
      grammar: "a1111",
      seed: "18446744073709551615",
      variation: { seed: 5, strength: 0.1 },
      noise: "philox",
      width: 512,
      height: 768,
      steps: 20,
      sampler: "DPM++ 2M",
      schedule: "Karras",
      guidanceScale: 7,
      clipSkip: 2,
      hires: { scale: 2, upscaler: "Latent", strength: 0.4 },
      model: { name: "ink", sha256: "0123456789" },
      loras: [
        { name: "brush", sha256: "fedcba987654" },
        { name: "two", sha256: "0123456789ab" },
      ],
    });
  });

  it("quotes what would be misread, and comes back", () => {
    const { prompt, negativePrompt, settings } = parseParametersText(parametersTextOf(recipe));
    expect([prompt, negativePrompt]).toEqual([recipe.prompt, recipe.negativePrompt]);
    expect(settings.get("Model")).toBe("ink: v1");
    expect(recipeOfParametersText(parametersTextOf(recipe))).toMatchObject({
      seed: 1234,
      model: { name: "ink: v1", sha256: "0123456789" },
    });
  });

  it("is a prompt alone when there are no settings", () => {
    expect(parseParametersText("a cat: sleeping")).toEqual({
      prompt: "a cat: sleeping",
      negativePrompt: "",
      settings: new Map(),
    });
    expect(parseParametersText("")).toEqual({
      prompt: "",
      negativePrompt: "",
      settings: new Map(),
    });
  });

  it("is read in time in proportion to its length", () => {
    for (const part of ["a b ", "a: ", 'a: "', ",", 'a: "\\', "Negative prompt:\n"])
      parseParametersText(part.repeat(100_000));
  }, 5000);
});

describe("other programs' records", () => {
  it("of ComfyUI are read along the sampler's links", () => {
    const graph = {
      1: { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: "ink.safetensors" } },
      2: {
        class_type: "LoraLoader",
        inputs: {
          model: ["1", 0],
          clip: ["1", 1],
          lora_name: "brush.safetensors",
          strength_model: 0.8,
          strength_clip: 1,
        },
      },
      3: { class_type: "CLIPTextEncode", inputs: { text: "a fox", clip: ["2", 1] } },
      4: { class_type: "CLIPTextEncode", inputs: { text: "blurry", clip: ["2", 1] } },
      5: { class_type: "EmptyLatentImage", inputs: { width: 512, height: 640, batch_size: 1 } },
      6: { class_type: "ConditioningSetArea", inputs: { conditioning: ["3", 0] } },
      7: {
        class_type: "KSampler",
        inputs: {
          model: ["2", 0],
          positive: ["6", 0],
          negative: ["4", 0],
          latent_image: ["5", 0],
          seed: 7,
          steps: 20,
          cfg: 8,
          sampler_name: "euler",
          scheduler: "karras",
          denoise: 1,
        },
      },
    };
    const {
      source,
      recipe: read,
      texts,
    } = readMetadata(withTexts({ prompt: JSON.stringify(graph), workflow: '{"nodes":[]}' }));
    expect(source).toBe("comfyui");
    expect(read).toMatchObject({
      prompt: "a fox",
      negativePrompt: "blurry",
      seed: 7,
      steps: 20,
      sampler: "euler",
      schedule: "karras",
      guidanceScale: 8,
      width: 512,
      height: 640,
      model: { name: "ink.safetensors" },
      loras: [{ name: "brush.safetensors", weight: 0.8, textWeight: 1 }],
    });
    expect(texts.workflow).toBe('{"nodes":[]}');
  });

  it("of ComfyUI may go in circles or lead nowhere", () => {
    const circle = {
      1: { class_type: "KSampler", inputs: { steps: 1, positive: ["2", 0], model: ["9", 0] } },
      2: { class_type: "X", inputs: { a: ["2", 0], b: ["1", 0] } },
    };
    expect(readMetadata(withTexts({ prompt: JSON.stringify(circle) })).recipe).toMatchObject({
      steps: 1,
    });
    expect(readMetadata(withTexts({ prompt: "{}" }))).toEqual({ texts: { prompt: "{}" } });
  });

  it("of InvokeAI are read in their three forms", () => {
    const three = {
      positive_prompt: "a fox",
      negative_prompt: "",
      seed: 7,
      width: 512,
      height: 512,
      steps: 30,
      cfg_scale: 7.5,
      scheduler: "dpmpp_2m",
      model: { name: "ink", hash: "blake3:00112233445566" },
      loras: [{ model: { name: "brush" }, weight: 0.5 }],
      app_version: "5.0.0",
    };
    expect(readMetadata(withTexts({ invokeai_metadata: JSON.stringify(three) }))).toMatchObject({
      source: "invokeai",
      recipe: {
        software: "InvokeAI 5.0.0",
        prompt: "a fox",
        steps: 30,
        model: { name: "ink" },
        loras: [{ name: "brush", weight: 0.5 }],
      },
    });
    const two = {
      model_weights: "ink",
      image: {
        prompt: [{ prompt: "a fox", weight: 1 }],
        seed: 7,
        steps: 30,
        cfg_scale: 7.5,
        sampler: "k_lms",
        width: 512,
        height: 512,
      },
    };
    expect(readMetadata(withTexts({ "sd-metadata": JSON.stringify(two) })).recipe).toMatchObject({
      prompt: "a fox",
      seed: 7,
      sampler: "k_lms",
    });
    expect(
      readMetadata(withTexts({ Dream: '"a \\"fox\\"" -s 50 -S 7 -W 512 -H 640 -C 7.5 -A k_lms' }))
        .recipe,
    ).toMatchObject({ prompt: 'a "fox"', steps: 50, seed: 7, height: 640, sampler: "k_lms" });
  });

  it("in JPEGs are EXIF comments, of either byte order", async () => {
    const jpeg = await encodeImage(image, { format: "jpeg" });
    const text = "a fox\nSteps: 20, Seed: 7, Size: 8x8";
    const big = withJpegExif(jpeg, writeExif({ userComment: text }));
    expect(readMetadata(big)).toMatchObject({
      source: "a1111",
      recipe: { prompt: "a fox", seed: 7 },
    });
    const little = writeExif({ userComment: text });
    const start = little.length - 2 * text.length;
    const swapped = little.map((byte, i) => (i < start ? byte : little[start + ((i - start) ^ 1)]));
    expect(readMetadata(withJpegExif(jpeg, swapped)).texts.parameters).toBe(text);
  });

  it("in PNGs may be compressed", () => {
    const text = new TextEncoder().encode("富 fox");
    const data = Uint8Array.from([
      ...new TextEncoder().encode("parameters\0"),
      1,
      0,
      0,
      0,
      ...zlibSync(text),
    ]);
    expect(readMetadata(encodePng(image, { chunks: [{ type: "iTXt", data }] })).texts).toEqual({
      parameters: "富 fox",
    });
    const bomb = Uint8Array.from([
      ...new TextEncoder().encode("parameters\0"),
      0,
      ...zlibSync(new Uint8Array(2 ** 25), { level: 9 }),
    ]);
    expect(() =>
      readMetadata(encodePng(image, { chunks: [{ type: "zTXt", data: bomb }] })),
    ).toThrow(/compressed text of more than/);
  });

  it("count as absent when damaged", () => {
    expect(
      readMetadata(withTexts({ nijimi: "{", parameters: "a\nSteps: 1, Seed: 2, Size: 8x8" }))
        .source,
    ).toBe("a1111");
    expect(readMetadata(encodePng(image))).toEqual({ texts: {} });
  });
});
