import { describe, expect, test } from "vitest";
import { float32 } from "../../tensor/tensor.ts";
import { entryOf, type Entry } from "../checkpoint.ts";
import type { JsonObject } from "../json.ts";
import { parameterTable } from "../layouts/parameters/by-class.ts";
import { filesFolder } from "../files/folder.ts";
import { writeSafetensors } from "../safetensors.ts";
import { loadAdapter, matchAdapter } from "./lora.ts";
import type { AdapterTargets } from "./targets.ts";

const UNET: JsonObject = {
  block_out_channels: [8, 16],
  down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
  layers_per_block: 1,
  cross_attention_dim: 12,
};
const TEXT: JsonObject = {
  hidden_size: 12,
  intermediate_size: 24,
  num_hidden_layers: 1,
  vocab_size: 20,
};

function target(className: string, config: JsonObject): AdapterTargets[string] {
  const table = parameterTable(className, config) ?? new Map<string, readonly number[]>();
  return {
    className,
    config,
    entries: Object.fromEntries([...table].map(([name, shape]) => [name, { shape }])),
  };
}

const TARGETS: AdapterTargets = {
  unet: target("UNet2DConditionModel", UNET),
  text_encoder: target("CLIPTextModel", TEXT),
};

const zeros = (...shape: number[]) =>
  entryOf(float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1))));
const number = (value: number) => entryOf(float32([], [value]));

const TO_Q = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
const TO_OUT = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0";
const Q_PROJ = "text_model.encoder.layers.0.self_attn.q_proj";

/** All the ways to name the two factors of a module. */
const NAMES: readonly (readonly [
  tool: string,
  module: string,
  down: string,
  up: string,
  component: string,
  path: string,
])[] = [
  [
    "kohya",
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
    ".lora_down.weight",
    ".lora_up.weight",
    "unet",
    TO_Q,
  ],
  [
    "kohya, original names",
    "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q",
    ".lora_down.weight",
    ".lora_up.weight",
    "unet",
    TO_Q,
  ],
  [
    "kohya, output projection",
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0",
    ".lora_down.weight",
    ".lora_up.weight",
    "unet",
    TO_OUT,
  ],
  ["PEFT", `unet.${TO_Q}`, ".lora_A.weight", ".lora_B.weight", "unet", TO_Q],
  [
    "PEFT, named adapter",
    `base_model.model.${TO_Q}`,
    ".lora_A.default.weight",
    ".lora_B.default.weight",
    "unet",
    TO_Q,
  ],
  [
    "attention processors",
    `unet.${TO_Q.replace(".to_q", ".processor.to_q")}`,
    "_lora.down.weight",
    "_lora.up.weight",
    "unet",
    TO_Q,
  ],
  [
    "attention processors, output",
    `unet.${TO_OUT.replace(".to_out.0", ".processor.to_out")}`,
    "_lora.down.weight",
    "_lora.up.weight",
    "unet",
    TO_OUT,
  ],
  ["diffusers before PEFT", `unet.${TO_Q}`, ".lora.down.weight", ".lora.up.weight", "unet", TO_Q],
  [
    "processors without prefix",
    TO_Q.replace(".to_q", ".processor.to_q"),
    "_lora.down.weight",
    "_lora.up.weight",
    "unet",
    TO_Q,
  ],
  [
    "ComfyUI's dotted original names",
    "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q",
    ".lora_down.weight",
    ".lora_up.weight",
    "unet",
    TO_Q,
  ],
];

test.each(NAMES)("%s names are understood", async (_, module, down, up, component, path) => {
  const entries = { [module + down]: zeros(2, 8), [module + up]: zeros(8, 2) };
  const { deltas, unmatched } = await matchAdapter(entries, {}, TARGETS);
  expect(unmatched).toEqual([]);
  expect(Object.keys(deltas[component])).toEqual([`${path}.weight`]);
  expect(deltas[component][`${path}.weight`]).toMatchObject({
    kind: "low-rank",
    rank: 2,
    alpha: 2,
    scale: 1,
  });
});

test.each([
  [
    "kohya",
    "lora_te_text_model_encoder_layers_0_self_attn_q_proj",
    ".lora_down.weight",
    ".lora_up.weight",
  ],
  [
    "kohya for SDXL",
    "lora_te1_text_model_encoder_layers_0_self_attn_q_proj",
    ".lora_down.weight",
    ".lora_up.weight",
  ],
  ["PEFT", `text_encoder.${Q_PROJ}`, ".lora_A.weight", ".lora_B.weight"],
  [
    "processors",
    "text_encoder.text_model.encoder.layers.0.self_attn.to_q",
    "_lora.down.weight",
    "_lora.up.weight",
  ],
  [
    "linear layers",
    `text_encoder.${Q_PROJ}`,
    ".lora_linear_layer.down.weight",
    ".lora_linear_layer.up.weight",
  ],
])("%s names of a text encoder are understood", async (_, module, down, up) => {
  const entries = { [module + down]: zeros(2, 12), [module + up]: zeros(12, 2) };
  const { deltas, unmatched } = await matchAdapter(entries, {}, TARGETS);
  expect(unmatched).toEqual([]);
  expect(Object.keys(deltas.text_encoder)).toEqual([`${Q_PROJ}.weight`]);
});

describe("alpha", () => {
  const factors = {
    [`unet.${TO_Q}.lora_A.weight`]: zeros(4, 8),
    [`unet.${TO_Q}.lora_B.weight`]: zeros(8, 4),
  };
  const scaleWith = async (entries: Record<string, Entry>, settings: JsonObject = {}) => {
    const metadata = { lora_adapter_metadata: JSON.stringify(settings) };
    const { deltas } = await matchAdapter(entries, metadata, TARGETS);
    return deltas.unet[`${TO_Q}.weight`].scale;
  };

  test("is the rank where nothing is said", async () => expect(await scaleWith(factors)).toBe(1));
  test("may be a tensor", async () =>
    expect(await scaleWith({ ...factors, [`unet.${TO_Q}.alpha`]: number(1) })).toBe(0.25));
  test("may be in the metadata", async () =>
    expect(await scaleWith(factors, { "unet.lora_alpha": 8 })).toBe(2));
  test("may be another one for some modules", async () =>
    expect(
      await scaleWith(factors, {
        "unet.lora_alpha": 8,
        "unet.alpha_pattern": { "attn1.to_q": 16 },
      }),
    ).toBe(4));
  test("is divided by the root of the rank when rank-stabilised", async () =>
    expect(await scaleWith(factors, { "unet.lora_alpha": 8, "unet.use_rslora": true })).toBe(4));
});

test("whatever matches nothing is reported with a reason", async () => {
  const { deltas, unmatched } = await matchAdapter(
    {
      "lora_unet_no_such_module.lora_down.weight": zeros(2, 8),
      "lora_unet_no_such_module.lora_up.weight": zeros(8, 2),
      "lora_unet_conv_in.lora_down.weight": zeros(2, 5, 3, 3),
      "lora_unet_conv_in.lora_up.weight": zeros(8, 2, 1, 1),
      "lora_unet_conv_out.oft_blocks": zeros(2, 2),
      "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": zeros(2, 12),
      "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": zeros(24, 2),
      "some.other.tensor": zeros(1),
    },
    {},
    TARGETS,
  );
  expect(deltas).toEqual({});
  expect(Object.fromEntries(unmatched.map(({ name, reason }) => [name, reason]))).toMatchObject({
    lora_unet_no_such_module: "no such module in the model",
    lora_unet_conv_in: expect.stringContaining("do not fit"),
    lora_unet_conv_out: expect.stringContaining("OFT"),
    lora_te2_text_model_encoder_layers_0_mlp_fc1: "no such module in the model",
    "some.other.tensor": "not part of an adapter",
  });
});

test("full differences and norms change weights and biases", async () => {
  const { deltas, kinds } = await matchAdapter(
    {
      "lora_unet_conv_in.diff": zeros(8, 4, 3, 3),
      "lora_unet_conv_in.diff_b": zeros(8),
      "lora_unet_conv_norm_out.w_norm": zeros(8),
      "lora_unet_conv_norm_out.b_norm": zeros(8),
    },
    {},
    TARGETS,
  );
  expect(kinds).toEqual(["full difference"]);
  expect(Object.keys(deltas.unet).sort()).toEqual([
    "conv_in.bias",
    "conv_in.weight",
    "conv_norm_out.bias",
    "conv_norm_out.weight",
  ]);
});

test("a folder of PEFT's own is read with its settings", async () => {
  const name = `base_model.model.${TO_Q}`;
  const factors = {
    [`${name}.lora_A.weight`]: float32([4, 8], new Float32Array(32)),
    [`${name}.lora_B.weight`]: float32([8, 4], new Float32Array(32)),
  };
  const settings = new TextEncoder().encode('{"peft_type": "LORA", "r": 4, "lora_alpha": 2}');
  const folder = filesFolder(
    new Map([
      ["adapter_model.safetensors", writeSafetensors(factors)],
      ["adapter_config.json", settings],
    ]),
  );
  const { deltas, close } = await loadAdapter(folder, TARGETS);
  expect(deltas.unet[`${TO_Q}.weight`]).toMatchObject({ rank: 4, alpha: 2, scale: 0.5 });
  await close();
});

test("an adapter for another model is refused, and a model is no adapter", async () => {
  const other = writeSafetensors({
    "lora_unet_elsewhere.lora_down.weight": float32([1, 2], [0, 0]),
    "lora_unet_elsewhere.lora_up.weight": float32([2, 1], [0, 0]),
  });
  await expect(loadAdapter(other, TARGETS)).rejects.toThrow(/adapter for another model/);
  const model = writeSafetensors({ "conv_in.weight": float32([1], [0]) });
  await expect(loadAdapter(model, TARGETS)).rejects.toThrow(/not a file of low-rank adapters/);
});
