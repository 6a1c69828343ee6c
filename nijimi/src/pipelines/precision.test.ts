/** A tiny Stable Diffusion 2 in every precision: how near its pictures are, and what is refused. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convertCheckpoint } from "../checkpoints/convert.ts";
import { loadCheckpoint } from "../checkpoints/layouts/load.ts";
import { QUANTIZED_PRECISIONS, type QuantizedPrecision } from "../checkpoints/quantized/policy.ts";
import { quantizeCheckpoint } from "../checkpoints/quantized/quantize.ts";
import { writeSafetensors } from "../checkpoints/safetensors.ts";
import { toFloat32 } from "../tensor/convert.ts";
import { torchGenerator } from "../tensor/random/torch.ts";
import { allImages } from "./events.ts";
import { loadPipeline, type PipelineOptions } from "./pipeline.ts";
import { textToImage } from "./text-to-image.ts";

const MODEL = fileURLToPath(
  new URL("../../../conformance/cases/pipelines/sd2/diffusers", import.meta.url),
);
const REQUEST = { prompt: "a red cat", steps: 2, seed: 7, width: 32, height: 32 };

/**
 * Least peak signal-to-noise ratio in dB to the float picture. Guidance multiplies the errors of this network of random
 * weights; at four steps it has 28.5, 30.8 and 18.3 dB.
 */
const LEAST: Readonly<Record<QuantizedPrecision, number>> = {
  int8: 25,
  "int8-weights": 27,
  "int4-weights": 16,
};

let folder: string;
let float: Float32Array;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "nijimi-precision-"));
  float = await picture(MODEL);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function picture(model: string, options: PipelineOptions = {}, more = {}) {
  const pipeline = await loadPipeline(model, { threads: 1, ...options });
  try {
    const [{ pixels }] = await allImages(textToImage(pipeline, { ...REQUEST, ...more }));
    return pixels.data;
  } finally {
    await pipeline.close();
  }
}

/** Pixels are in [−1, 1]. */
function decibels(a: Float32Array, b: Float32Array): number {
  const error = a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length;
  return 10 * Math.log10(4 / error);
}

describe.each(QUANTIZED_PRECISIONS)("%s", (precision) => {
  it("draws nearly the same picture, from a folder, on the fly and in memory", async () => {
    const output = join(folder, precision);
    const { quantized } = await quantizeCheckpoint(MODEL, output, { precision });
    expect(quantized).toBeGreaterThan(50);
    const fromFolder = await picture(output);
    expect(decibels(fromFolder, float)).toBeGreaterThan(LEAST[precision]);
    const inMemory = await picture(MODEL, { precision });
    expect(decibels(inMemory, fromFolder)).toBeGreaterThan(100);
    const quantizedFolder = join(folder, "cache");
    const cached = await picture(MODEL, { precision, quantizedFolder });
    expect(decibels(cached, fromFolder)).toBeGreaterThan(100);
  });

  it("holds floats within a step of the model's", async () => {
    const small = await loadCheckpoint(join(folder, precision));
    const original = await loadCheckpoint(MODEL);
    for (const [name, entry] of Object.entries(small.components.unet.entries)) {
      if (entry.quantized === undefined) continue;
      const a = toFloat32(await entry.read());
      const b = toFloat32(await original.components.unet.entries[name].read());
      const scale = Math.max(...toFloat32(await entry.quantized.scale.read()));
      const error = a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
      expect(error, name).toBeLessThan(scale * 0.5001);
    }
    await Promise.all([small.close(), original.close()]);
  });

  it("takes LoRA beside the quantised weights", async () => {
    const block = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
    const { components, close } = await loadCheckpoint(MODEL);
    const [outputs, inputs] = components.unet.entries[`${block.slice(5)}.weight`].shape;
    await close();
    const random = torchGenerator(1);
    const lora = writeSafetensors({
      [`${block}.lora_A.weight`]: random.randn([2, inputs]),
      [`${block}.lora_B.weight`]: random.randn([outputs, 2]),
    });
    const use = { loras: [{ name: "one", scale: 0.5 }] };
    const expected = await picture(MODEL, { loras: { one: lora } }, use);
    const adapted = await picture(join(folder, precision), { loras: { one: lora } }, use);
    expect(decibels(adapted, expected)).toBeGreaterThan(LEAST[precision]);
    expect(decibels(adapted, float)).toBeLessThan(decibels(adapted, expected));
  });
});

it("quantises a model once, wherever it lies, and never reads it again", async () => {
  const cache = join(folder, "cache-once");
  const single = join(folder, "model.safetensors");
  await convertCheckpoint(MODEL, single, { to: "single" });
  const architecture = join(folder, "model.architecture.json");
  const load = async (path: string) => {
    let tensors = 0;
    const pipeline = await loadPipeline(path, {
      precision: "int8",
      quantizedFolder: cache,
      onQuantize: () => tensors++,
    });
    await pipeline.close();
    return tensors;
  };
  expect(await load(single)).toBeGreaterThan(0);
  expect(await load(single)).toBe(0);
  const again = join(folder, "copy.safetensors");
  await writeFile(again, await readFile(single));
  await writeFile(
    join(folder, "copy.architecture.json"),
    await readFile(architecture).catch(() => "{}"),
  );
  expect(await load(again)).toBe(0);
  expect((await readdir(cache)).length).toBe(2); // the model and the index
});

it("makes weights smaller, also than 16 bits", async () => {
  const sizeOf = async (precision: string) =>
    (await stat(join(folder, precision, "unet", "diffusion_pytorch_model.safetensors"))).size;
  const original = (await stat(join(MODEL, "unet", "diffusion_pytorch_model.safetensors"))).size;
  expect(await sizeOf("int8")).toBeLessThan(0.7 * original);
  expect(await sizeOf("int4-weights")).toBeLessThan(await sizeOf("int8-weights"));
});

it.each(["float16", "bfloat16"] as const)(
  "weights of %s stay in 16 bits with the precision stored, and give the same picture",
  async (dtype) => {
    const halved = join(folder, dtype);
    await convertCheckpoint(MODEL, halved, { to: "diffusers", dtype });
    const converted = await picture(halved);
    expect(decibels(await picture(halved, { precision: "stored" }), converted)).toBeGreaterThan(80);
  },
);

describe("refuses", () => {
  it("what is quantised already", async () => {
    const small = join(folder, "int8");
    const output = join(folder, "twice");
    await expect(quantizeCheckpoint(small, output, { precision: "int8" })).rejects.toMatchObject({
      code: "option",
      message: expect.stringMatching(/quantised already/),
    });
    await expect(loadPipeline(small, { precision: "int4-weights" })).rejects.toMatchObject({
      code: "option",
      message: expect.stringMatching(/quantised to int8/),
    });
    await (await loadPipeline(small, { precision: "int8" })).close();
  });

  it("an unknown precision", async () => {
    const run = loadPipeline(MODEL, { precision: "int9" as never });
    await expect(run).rejects.toMatchObject({
      code: "option",
      message: expect.stringMatching(/int8/),
    });
  });

  it("a network alone that is no U-Net", async () => {
    const run = quantizeCheckpoint(join(MODEL, "vae"), join(folder, "vae"), { precision: "int8" });
    await expect(run).rejects.toMatchObject({ code: "unsupported" });
    await expect(stat(join(folder, "vae"))).rejects.toThrow();
  });

  it("a scheme of another library", async () => {
    const other = join(folder, "other");
    await quantizeCheckpoint(MODEL, other, { precision: "int8" });
    const config = join(other, "unet", "config.json");
    const text = await readFile(config, "utf8");
    await writeFile(config, text.replace('"nijimi"', '"bitsandbytes"'));
    await expect(loadPipeline(other)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(/bitsandbytes/),
    });
  });
});
