/**
 * The released models, known by their configs: their tables have the published numbers of parameters, and a
 * single file written with a variant's names is recognised, read back with nothing missing, and its config
 * found from shapes alone.
 */
import { describe, expect, test } from "vitest";
import { sizeOf } from "../../tensor/tensor.ts";
import type { Entry } from "../checkpoint.ts";
import type { JsonObject } from "../json.ts";
import { autoencoderMap, pyramidOutlineOfConfig } from "./autoencoder.ts";
import { clipTextMap, TRANSFORMERS_TEXT } from "./clip.ts";
import { prefixed, toForeign, type KeyMap } from "./key-map.ts";
import { openAIUNetMap } from "./openai-unet.ts";
import { parameterTable } from "./parameters/by-class.ts";
import { controlNetMap } from "./stable-diffusion/controlnet.ts";
import { readControlNet, readSingleFile } from "./stable-diffusion/single-file.ts";
import { outlineOfConfig } from "./unet-outline.ts";
import { unwrap } from "./unwrap.ts";

const CROSS = [
  "CrossAttnDownBlock2D",
  "CrossAttnDownBlock2D",
  "CrossAttnDownBlock2D",
  "DownBlock2D",
];
const UNET_1: JsonObject = {
  in_channels: 4,
  out_channels: 4,
  block_out_channels: [320, 640, 1280, 1280],
  down_block_types: CROSS,
  up_block_types: CROSS.toReversed().map((name) => name.replace("Down", "Up")),
  layers_per_block: 2,
  attention_head_dim: 8,
  cross_attention_dim: 768,
};
const UNET_2: JsonObject = {
  ...UNET_1,
  cross_attention_dim: 1024,
  use_linear_projection: true,
  attention_head_dim: [5, 10, 20, 20],
};
const XL = ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"];
const UNET_XL: JsonObject = {
  in_channels: 4,
  out_channels: 4,
  block_out_channels: [320, 640, 1280],
  down_block_types: XL,
  up_block_types: XL.toReversed().map((name) => name.replace("Down", "Up")),
  layers_per_block: 2,
  transformer_layers_per_block: [1, 2, 10],
  attention_head_dim: [5, 10, 20],
  cross_attention_dim: 2048,
  use_linear_projection: true,
  addition_embed_type: "text_time",
  addition_time_embed_dim: 256,
  projection_class_embeddings_input_dim: 2816,
};
const REFINER = ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"];
const UNET_REFINER: JsonObject = {
  ...UNET_XL,
  block_out_channels: [384, 768, 1536, 1536],
  down_block_types: REFINER,
  up_block_types: REFINER.toReversed().map((name) => name.replace("Down", "Up")),
  transformer_layers_per_block: [1, 4, 4, 4],
  attention_head_dim: [6, 12, 24, 24],
  cross_attention_dim: 1280,
  projection_class_embeddings_input_dim: 2560,
};
const UPSCALER = [
  "DownBlock2D",
  "CrossAttnDownBlock2D",
  "CrossAttnDownBlock2D",
  "CrossAttnDownBlock2D",
];
const UNET_UPSCALER: JsonObject = {
  ...UNET_2,
  in_channels: 7,
  block_out_channels: [256, 512, 512, 1024],
  down_block_types: UPSCALER,
  up_block_types: UPSCALER.toReversed().map((name) => name.replace("Down", "Up")),
  attention_head_dim: 8,
  only_cross_attention: [true, true, true, false],
  num_class_embeds: 1000,
};
const VAE: JsonObject = {
  block_out_channels: [128, 256, 512, 512],
  down_block_types: Array(4).fill("DownEncoderBlock2D"),
  up_block_types: Array(4).fill("UpDecoderBlock2D"),
  latent_channels: 4,
  layers_per_block: 2,
  norm_num_groups: 32,
};
const VAE_UPSCALER: JsonObject = {
  ...VAE,
  block_out_channels: [128, 256, 512],
  down_block_types: Array(3).fill("DownEncoderBlock2D"),
  up_block_types: Array(3).fill("UpDecoderBlock2D"),
};
const TEXT_L: JsonObject = {
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  projection_dim: 768,
};
const TEXT_H: JsonObject = {
  hidden_size: 1024,
  intermediate_size: 4096,
  num_hidden_layers: 23,
  num_attention_heads: 16,
  projection_dim: 1024,
};
const TEXT_G: JsonObject = {
  hidden_size: 1280,
  intermediate_size: 5120,
  num_hidden_layers: 32,
  num_attention_heads: 20,
  projection_dim: 1280,
};

test.each([
  ["Stable Diffusion 1's U-Net", "UNet2DConditionModel", UNET_1, 859_520_964],
  ["Stable Diffusion 2's U-Net", "UNet2DConditionModel", UNET_2, 865_910_724],
  ["SDXL's U-Net", "UNet2DConditionModel", UNET_XL, 2_567_463_684],
  ["the SDXL refiner's U-Net", "UNet2DConditionModel", UNET_REFINER, 2_259_526_660],
  ["Stable Diffusion's autoencoder", "AutoencoderKL", VAE, 83_653_863],
  ["CLIP ViT-L/14's text tower", "CLIPTextModel", TEXT_L, 123_060_480],
  ["OpenCLIP ViT-H/14's text tower without its last layer", "CLIPTextModel", TEXT_H, 340_387_840],
  ["OpenCLIP ViT-bigG/14's text tower", "CLIPTextModelWithProjection", TEXT_G, 694_659_840],
  ["ControlNet for Stable Diffusion 1", "ControlNetModel", UNET_1, 361_279_120],
])("%s has its published number of parameters", (_, className, config, count) => {
  const table = parameterTable(className, config);
  expect([...(table ?? [])].reduce((sum, [, shape]) => sum + sizeOf(shape), 0)).toBe(count);
});

/** A class's parameters as entries that nobody may read. */
function entriesOf(className: string, config: JsonObject): Record<string, Entry> {
  const unread = async () => {
    throw new Error("a tensor was read");
  };
  const table = parameterTable(className, config) ?? new Map<string, readonly number[]>();
  return Object.fromEntries(
    [...table].map(([name, shape]) => [name, { dtype: "float16", shape, read: unread } as const]),
  );
}

interface Network {
  readonly className: string;
  readonly config: JsonObject;
  readonly map: KeyMap;
}

function unet(config: JsonObject): Network {
  const labels = config.addition_embed_type ? "addition-mlp" : "class-table";
  const map = openAIUNetMap(outlineOfConfig(config), { labels });
  return {
    className: "UNet2DConditionModel",
    config,
    map: prefixed(map, { foreign: "model.diffusion_model" }),
  };
}

function vae(config: JsonObject): Network {
  const map = autoencoderMap(pyramidOutlineOfConfig(config));
  return {
    className: "AutoencoderKL",
    config,
    map: prefixed(map, { foreign: "first_stage_model" }),
  };
}

function openClip(
  config: JsonObject,
  foreign: string,
  className = "CLIPTextModelWithProjection",
): Network {
  return {
    className,
    config,
    map: prefixed(clipTextMap(Number(config.num_hidden_layers)), { foreign }),
  };
}

const textL = (foreign: string): Network => ({
  className: "CLIPTextModel",
  config: TEXT_L,
  map: prefixed(TRANSFORMERS_TEXT, { foreign }),
});

/** A 24th layer that is stored and not used. */
const LAST_LAYER = openClip({ ...TEXT_H, num_hidden_layers: 24 }, "cond_stage_model.model");

const VARIANTS: readonly (readonly [string, readonly Network[], JsonObject, string])[] = [
  [
    "stable-diffusion-1",
    [unet(UNET_1), vae(VAE), textL("cond_stage_model.transformer")],
    UNET_1,
    "PNDMScheduler",
  ],
  [
    "stable-diffusion-1",
    [unet({ ...UNET_1, in_channels: 9 }), vae(VAE), textL("cond_stage_model.transformer")],
    { ...UNET_1, in_channels: 9 },
    "PNDMScheduler",
  ],
  [
    "stable-diffusion-2",
    [unet({ ...UNET_2, in_channels: 5 }), vae(VAE), LAST_LAYER],
    { ...UNET_2, in_channels: 5 },
    "PNDMScheduler",
  ],
  [
    "stable-diffusion-x4-upscaler",
    [unet(UNET_UPSCALER), vae(VAE_UPSCALER), LAST_LAYER],
    UNET_UPSCALER,
    "DDIMScheduler",
  ],
  [
    "sdxl",
    [
      unet(UNET_XL),
      vae(VAE),
      textL("conditioner.embedders.0.transformer"),
      openClip(TEXT_G, "conditioner.embedders.1.model"),
    ],
    UNET_XL,
    "EulerDiscreteScheduler",
  ],
  [
    "sdxl-refiner",
    [unet(UNET_REFINER), vae(VAE), openClip(TEXT_G, "conditioner.embedders.0.model")],
    UNET_REFINER,
    "EulerDiscreteScheduler",
  ],
];

function written(networks: readonly Network[]): Record<string, Entry> {
  const parts = networks.map(({ className, config, map }) => {
    const { entries, unmapped } = toForeign(map, entriesOf(className, config));
    expect(unmapped).toEqual([]);
    return entries;
  });
  return Object.assign({}, ...parts) as Record<string, Entry>;
}

describe.each(VARIANTS)("%s in one file", (family, networks, config, scheduler) => {
  test("is recognised and complete, and its config is found from shapes", async () => {
    const file = written(networks);
    expect(unwrap(file)?.family.id).toBe(family);
    const parts = await readSingleFile(family, file, {});
    expect(parts.unexpected).toEqual([]);
    expect(parts.schedulers.scheduler._class_name).toBe(scheduler);
    for (const component of Object.values(parts.components)) {
      expect(component.missing).toEqual([]);
      expect(component.mismatched).toEqual([]);
      expect(component.unexpected).toEqual([]);
      expect(component.undetermined).toEqual([]);
      expect(component).toMatchObject({ checked: true, refusal: undefined });
    }
    expect(parts.components.unet.config).toMatchObject(config);
  });
});

test("Stable Diffusion 2 uses all layers of its text tower but the last", async () => {
  const file = written([unet({ ...UNET_2, in_channels: 9 }), vae(VAE), LAST_LAYER]);
  const { components } = await readSingleFile("stable-diffusion-2", file, {});
  expect(components.text_encoder.config.num_hidden_layers).toBe(23);
  expect(components.text_encoder.unused.every((name) => name.includes("resblocks.23."))).toBe(true);
});

test("a ControlNet under its original names is read back", () => {
  const map = controlNetMap(outlineOfConfig(UNET_1), 8);
  const { entries } = toForeign(
    prefixed(map, { foreign: "control_model" }),
    entriesOf("ControlNetModel", UNET_1),
  );
  expect(unwrap(entries)?.family.id).toBe("controlnet");
  const component = readControlNet(entries);
  expect(component.missing).toEqual([]);
  expect(component.unexpected).toEqual([]);
  expect(component.config.conditioning_embedding_out_channels).toEqual([16, 32, 96, 256]);
});

test("the running average is read when it is asked for", async () => {
  const file = written([unet(UNET_1), vae(VAE), textL("cond_stage_model.transformer")]);
  const name = "model.diffusion_model.input_blocks.0.0.weight";
  await expect(readSingleFile("stable-diffusion-1", file, {}, { ema: true })).rejects.toThrow(
    /no running average/,
  );
  const averaged = { ...file };
  for (const [key, entry] of Object.entries(file))
    if (key.startsWith("model."))
      averaged[`model_ema.${key.slice("model.".length).replaceAll(".", "")}`] = { ...entry };
  const { components } = await readSingleFile("stable-diffusion-1", averaged, {}, { ema: true });
  expect(components.unet.entries["conv_in.weight"]).toBe(
    averaged[`model_ema.${name.slice("model.".length).replaceAll(".", "")}`],
  );
  expect(components.unet.missing).toEqual([]);
});
