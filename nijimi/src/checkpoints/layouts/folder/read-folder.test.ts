import { describe, expect, test } from "vitest";
import { float32 } from "../../../tensor/tensor.ts";
import { filesFolder } from "../../files/folder.ts";
import { writeSafetensors } from "../../safetensors.ts";
import { describeCheckpoint, loadCheckpoint } from "../load.ts";
import { parameterTable } from "../parameters/by-class.ts";

const UNET = {
  _class_name: "UNet2DModel",
  block_out_channels: [4],
  down_block_types: ["DownBlock2D"],
  up_block_types: ["UpBlock2D"],
  layers_per_block: 1,
  norm_num_groups: 2,
};
const SCHEDULER = '{"_class_name": "DDPMScheduler", "lambda_min_clipped": -Infinity}';
const INDEX = {
  _class_name: "DDPMPipeline",
  unet: ["diffusers", "UNet2DModel"],
  scheduler: ["diffusers", "DDPMScheduler"],
};

function weights(change: (tensors: Record<string, ReturnType<typeof float32>>) => void = () => {}) {
  const table = parameterTable("UNet2DModel", UNET) ?? new Map<string, readonly number[]>();
  const tensors = Object.fromEntries(
    [...table].map(([name, shape]) => [
      name,
      float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1))),
    ]),
  );
  change(tensors);
  return writeSafetensors(tensors);
}

type Files = Record<string, string | Uint8Array>;

const GOOD: Files = {
  "model_index.json": JSON.stringify(INDEX),
  "unet/config.json": JSON.stringify(UNET),
  "unet/diffusion_pytorch_model.safetensors": weights(),
  "scheduler/scheduler_config.json": SCHEDULER,
};

function folder(files: Files) {
  const bytes = Object.entries(files).map(([name, content]): [string, Uint8Array] => [
    name,
    typeof content === "string" ? new TextEncoder().encode(content) : content,
  ]);
  return filesFolder(new Map(bytes), "folder");
}

const load = (changes: Files) => loadCheckpoint(folder({ ...GOOD, ...changes }));

test("a pipeline's parts are read, Python's -Infinity among them", async () => {
  const checkpoint = await load({});
  expect(checkpoint).toMatchObject({
    format: "folder",
    pipeline: "DDPMPipeline",
    missing: [],
    unexpected: [],
  });
  expect(checkpoint.components.unet.config).toMatchObject(UNET);
  expect(checkpoint.schedulers.scheduler.lambda_min_clipped).toBe(-Infinity);
});

test("files of a variant are found when there are no others", async () => {
  const { "unet/diffusion_pytorch_model.safetensors": plain, ...rest } = GOOD;
  const half = folder({ ...rest, "unet/diffusion_pytorch_model.fp16.safetensors": plain });
  expect((await loadCheckpoint(half)).missing).toEqual([]);
  await expect(loadCheckpoint(folder(GOOD), { variant: "fp16" })).rejects.toThrow(/variant "fp16"/);
});

test("attention under the names of before 0.12 is read", async () => {
  const config = { ...UNET, down_block_types: ["AttnDownBlock2D"] };
  const table = parameterTable("UNet2DModel", config) ?? new Map<string, readonly number[]>();
  const old = [...table].map(([name, shape]) => [
    name
      .replace(
        /\.to_([qkv])\./,
        (_, letter: string) => `.${{ q: "query", k: "key", v: "value" }[letter]}.`,
      )
      .replace(".to_out.0.", ".proj_attn."),
    float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1))),
  ]);
  const checkpoint = await load({
    "unet/config.json": JSON.stringify(config),
    "unet/diffusion_pytorch_model.safetensors": writeSafetensors(Object.fromEntries(old)),
  });
  expect(checkpoint.missing).toEqual([]);
  expect(checkpoint.unexpected).toEqual([]);
});

test("a tensor too many is listed", async () => {
  const extra = weights((tensors) => (tensors.surplus = float32([1], [0])));
  const { unexpected } = await load({ "unet/diffusion_pytorch_model.safetensors": extra });
  expect(unexpected).toEqual(["unet: surplus"]);
});

test("a folder of one network needs no model_index.json", async () => {
  const single = folder({
    "config.json": JSON.stringify(UNET),
    "diffusion_pytorch_model.safetensors": weights(),
  });
  expect(Object.keys((await loadCheckpoint(single)).components)).toEqual(["unet"]);
});

test("looking at an incomplete folder lists what is missing, loading refuses it", async () => {
  const files = {
    "unet/diffusion_pytorch_model.safetensors": weights(
      (tensors) => delete tensors["conv_in.weight"],
    ),
  };
  const described = await describeCheckpoint(folder({ ...GOOD, ...files }));
  expect(described.missing).toEqual(["unet.conv_in.weight"]);
  await expect(load(files)).rejects.toThrow(/lacks conv_in\.weight/);
});

describe("is refused", () => {
  const config = (value: object) => ({ "unet/config.json": JSON.stringify({ ...UNET, ...value }) });
  const index = (value: object) => ({ "model_index.json": JSON.stringify({ ...INDEX, ...value }) });
  test.each<[string, Files, string, RegExp]>([
    [
      "a pipeline class that nobody knows",
      index({ _class_name: "EvilPipeline" }),
      "unsupported",
      /EvilPipeline/,
    ],
    [
      "a pipeline of its own code",
      index({ _class_name: ["pipeline", "Mine"] }),
      "unsafe",
      /never run/,
    ],
    ["a model class that is none", index({ unet: ["os", "system"] }), "unsupported", /os\.system/],
    [
      "a component outside",
      index({ "../x": ["diffusers", "UNet2DModel"] }),
      "unsafe",
      /plain folder name/,
    ],
    [
      "Stable Diffusion 3",
      index({ _class_name: "StableDiffusion3Pipeline" }),
      "unsupported",
      /Stable Diffusion 3/,
    ],
    ["FLUX", index({ _class_name: "FluxPipeline" }), "unsupported", /FLUX/],
    [
      "a config of another class",
      config({ _class_name: "AutoencoderKL" }),
      "checkpoint",
      /AutoencoderKL/,
    ],
    [
      "a block type that nobody knows",
      config({ down_block_types: ["DownBlock9D"] }),
      "checkpoint",
      /DownBlock9D/,
    ],
    [
      "a negative number of layers",
      config({ layers_per_block: -1 }),
      "checkpoint",
      /layers_per_block/,
    ],
    [
      "more channels than the weights have",
      config({ block_out_channels: [2 ** 30] }),
      "checkpoint",
      /1073741824/,
    ],
    ["a config that is an array", { "unet/config.json": "[]" }, "format", /must be a JSON object/],
    [
      "weights of integers",
      { "unet/diffusion_pytorch_model.safetensors": integers() },
      "checkpoint",
      /dtype int64/,
    ],
  ])("%s", async (_, files, code, message) => {
    await expect(load(files)).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});

function integers(): Uint8Array {
  const table = parameterTable("UNet2DModel", UNET) ?? new Map<string, readonly number[]>();
  const tensors = [...table].map(([name, shape]) => [
    name,
    { dtype: "int64" as const, shape, data: new BigInt64Array(shape.reduce((a, b) => a * b, 1)) },
  ]);
  return writeSafetensors(Object.fromEntries(tensors));
}
