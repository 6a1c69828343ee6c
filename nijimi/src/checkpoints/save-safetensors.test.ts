import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cast } from "../tensor/convert.ts";
import { float32, tensor } from "../tensor/tensor.ts";
import { readAll } from "./checkpoint.ts";
import { openCheckpoint } from "./open-checkpoint.ts";
import { writeSafetensors } from "./safetensors.ts";
import { saveComponent, saveDiffusersFolder } from "./save-folder.ts";
import { planShards, saveSafetensors, saveSharded } from "./save-safetensors.ts";

const TENSORS = {
  a: float32([4], [1, -2, 0.5, 1e-3]),
  b: float32([2, 2], [5, 6, 7, 8]),
  ids: tensor("int64", [2], BigInt64Array.of(1n, 2n)),
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "nijimi-save-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function readBack(file: string) {
  const checkpoint = await openCheckpoint(file);
  const tensors = await readAll(checkpoint.entries);
  await checkpoint.close();
  return { ...tensors };
}

describe("saveSafetensors", () => {
  it("writes the bytes that writeSafetensors gives", async () => {
    const file = path.join(folder, "x.safetensors");
    await saveSafetensors(file, TENSORS, { metadata: { k: "v" } });
    expect(new Uint8Array(await readFile(file))).toEqual(writeSafetensors(TENSORS, { k: "v" }));
  });

  it("takes entries of an open checkpoint, and may convert them", async () => {
    const { entries } = await openCheckpoint(writeSafetensors(TENSORS));
    const file = path.join(folder, "half.safetensors");
    await saveSafetensors(file, entries, { dtype: "float16" });
    const read = await readBack(file);
    expect(read.a).toEqual(cast(TENSORS.a, "float16"));
    expect(read.ids).toEqual(TENSORS.ids);
  });

  it("refuses numbers that become infinite, and writes nothing then", async () => {
    const large = { w: float32([2], [1, 65520]) };
    const file = path.join(folder, "x.safetensors");
    await expect(saveSafetensors(file, large, { dtype: "float16" })).rejects.toThrow(
      '"w" holds 65520',
    );
    expect(await readdir(folder)).toEqual([]);
    await saveSafetensors(file, large, { dtype: "bfloat16" });
    const fits = { w: float32([2], [65519, Infinity]) };
    await saveSafetensors(file, fits, { dtype: "float16" });
    expect(cast((await readBack(file)).w, "float32").data).toEqual(
      Float32Array.of(65504, Infinity),
    );
  });
});

describe("shards", () => {
  it("are filled in order, a large tensor has one of its own", () => {
    const infos = new Map(
      [4, 4, 20, 1, 1].map((n, i) => [`t${i}`, float32([n], new Array(n).fill(0))]),
    );
    expect(planShards(infos, 40)).toEqual([["t0", "t1"], ["t2"], ["t3", "t4"]]);
    expect(planShards(new Map(), 40)).toEqual([]);
  });

  it("are named and indexed as diffusers does", async () => {
    await saveSharded(folder, "model", TENSORS, {
      maxShardBytes: 16,
      variant: "fp16",
      dtype: "float16",
    });
    const index = "model.safetensors.index.fp16.json";
    expect(await readdir(folder)).toEqual([
      "model.fp16-00001-of-00002.safetensors",
      "model.fp16-00002-of-00002.safetensors",
      index,
    ]);
    expect(JSON.parse(await readFile(path.join(folder, index), "utf8")).metadata).toEqual({
      total_size: 32,
    });
    expect((await readBack(path.join(folder, index))).b).toEqual(cast(TENSORS.b, "float16"));
  });

  it("are one plain file where that is small enough", async () => {
    await saveSharded(folder, "model", TENSORS);
    expect(await readdir(folder)).toEqual(["model.safetensors"]);
  });
});

describe("saveDiffusersFolder", () => {
  const config = { sample_size: 8, clip: -Infinity };

  it("writes an index, configs, weights and files", async () => {
    const target = path.join(folder, "pipeline");
    await saveDiffusersFolder(target, {
      className: "StableDiffusionPipeline",
      options: { requires_safety_checker: false },
      components: {
        unet: { library: "diffusers", className: "UNet2DConditionModel", config, tensors: TENSORS },
        text_encoder: {
          library: "transformers",
          className: "CLIPTextModel",
          config: { model_type: "clip_text_model" },
          tensors: TENSORS,
        },
        scheduler: { library: "diffusers", className: "DDIMScheduler", config },
        tokenizer: {
          library: "transformers",
          className: "CLIPTokenizer",
          files: { "vocab.json": "{}" },
        },
        safety_checker: null,
      },
    });
    expect((await readdir(target, { recursive: true })).sort()).toEqual([
      "model_index.json",
      "scheduler",
      "scheduler/scheduler_config.json",
      "text_encoder",
      "text_encoder/config.json",
      "text_encoder/model.safetensors",
      "tokenizer",
      "tokenizer/vocab.json",
      "unet",
      "unet/config.json",
      "unet/diffusion_pytorch_model.safetensors",
    ]);
    const index = JSON.parse(await readFile(path.join(target, "model_index.json"), "utf8"));
    expect(index).toMatchObject({
      _class_name: "StableDiffusionPipeline",
      safety_checker: [null, null],
      unet: ["diffusers", "UNet2DConditionModel"],
    });
    const unet = await readFile(path.join(target, "unet/config.json"), "utf8");
    expect(unet).toContain('"_class_name": "UNet2DConditionModel"');
    expect(unet).toContain('"clip": -Infinity');
  });

  it("leaves no half-written folder behind", async () => {
    const broken = {
      ...TENSORS,
      w: { dtype: "float32", shape: [1], read: () => Promise.reject(new Error("gone")) } as const,
    };
    const unet = { library: "diffusers", className: "UNet2DModel", config, tensors: broken };
    const saved = saveDiffusersFolder(path.join(folder, "x"), {
      className: "DDPMPipeline",
      components: { unet },
    });
    await expect(saved).rejects.toThrow("gone");
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("saveComponent", () => {
  it("writes one network", async () => {
    await saveComponent(folder, {
      library: "diffusers",
      className: "AutoencoderKL",
      config: {},
      tensors: TENSORS,
    });
    expect((await readdir(folder)).sort()).toEqual([
      "config.json",
      "diffusion_pytorch_model.safetensors",
    ]);
  });
});
