/**
 * The autoencoder of taming-transformers and latent diffusion (`encoder.down.0.block.0`, …) against
 * diffusers' AutoencoderKL and VQModel; and the U-Net of ermongroup/ddim, which has the same layout with a
 * time embedding, against UNet2DModel.
 *
 * The attention's linear layers are 1×1 convolutions there. The decoder counts its levels from the
 * bottom there and from the top here.
 */
import { range } from "../../internal/range.ts";
import type { JsonObject } from "../json.ts";
import { texts, whole } from "./config-values.ts";
import { lastIndex } from "./unet-outline.ts";
import type { Entries } from "../checkpoint.ts";
import { renames, type KeyMap, type ModuleRule, type Rule } from "./key-map.ts";

/** Levels of an autoencoder or of ddim's U-Net. */
export interface PyramidOutline {
  readonly levels: number;
  /** Residual blocks of a level on the way down; one more on the way up. */
  readonly layers: number;
}

const SQUEEZE = [{ kind: "squeeze", spatial: 2 }] as const;

const RESIDUAL = renames(["nin_shortcut", "conv_shortcut"], ["temb_proj", "time_emb_proj"]);

const ATTENTION: readonly Rule[] = [
  { foreign: "norm", ours: "group_norm" },
  { foreign: "q", ours: "to_q", transform: SQUEEZE },
  { foreign: "k", ours: "to_k", transform: SQUEEZE },
  { foreign: "v", ours: "to_v", transform: SQUEEZE },
  { foreign: "proj_out", ours: "to_out.0", transform: SQUEEZE },
];

/** Names that diffusers gave to the same layers before version 0.12, in folders that are still in use. */
export const DEPRECATED_ATTENTION: readonly Rule[] = [
  { foreign: "query", ours: "to_q", transform: SQUEEZE, readOnly: true },
  { foreign: "key", ours: "to_k", transform: SQUEEZE, readOnly: true },
  { foreign: "value", ours: "to_v", transform: SQUEEZE, readOnly: true },
  { foreign: "proj_attn", ours: "to_out.0", transform: SQUEEZE, readOnly: true },
];

/** Encoder, decoder, and what stands between them. */
export function autoencoderMap({ levels, layers }: PyramidOutline): KeyMap {
  return [
    ...ends("encoder."),
    ...downward("encoder.", levels, layers),
    ...middle("encoder."),
    ...ends("decoder."),
    ...middle("decoder."),
    ...upward("decoder.", levels, layers),
    { foreign: "quant_conv", ours: "quant_conv" },
    { foreign: "post_quant_conv", ours: "post_quant_conv" },
    { foreign: "quantize", ours: "quantize" },
  ];
}

/** ermongroup/ddim's and pesser/pytorch_diffusion's U-Net. */
export function ddimUNetMap({ levels, layers }: PyramidOutline): KeyMap {
  return [
    { foreign: "temb.dense.0", ours: "time_embedding.linear_1" },
    { foreign: "temb.dense.1", ours: "time_embedding.linear_2" },
    ...ends(""),
    ...downward("", levels, layers),
    ...middle(""),
    ...upward("", levels, layers),
  ];
}

/** Reads the outline from names in the foreign layout, encoder or decoder. */
export function pyramidOutline(entries: Entries, path = "encoder."): PyramidOutline {
  return {
    levels: lastIndex(entries, `${path}down`) + 1,
    layers: lastIndex(entries, `${path}down.0.block`) + 1,
  };
}

/** Reads the outline from a diffusers config. */
export function pyramidOutlineOfConfig(config: JsonObject): PyramidOutline {
  const levels = texts(config, "down_block_types").length;
  return { levels, layers: whole(config, "layers_per_block", 1) };
}

function ends(path: string): ModuleRule[] {
  return [
    { foreign: `${path}conv_in`, ours: `${path}conv_in` },
    { foreign: `${path}norm_out`, ours: `${path}conv_norm_out` },
    { foreign: `${path}conv_out`, ours: `${path}conv_out` },
  ];
}

function middle(path: string): ModuleRule[] {
  return [
    { foreign: `${path}mid.block_1`, ours: `${path}mid_block.resnets.0`, rules: RESIDUAL },
    { foreign: `${path}mid.attn_1`, ours: `${path}mid_block.attentions.0`, rules: ATTENTION },
    { foreign: `${path}mid.block_2`, ours: `${path}mid_block.resnets.1`, rules: RESIDUAL },
  ];
}

function downward(path: string, levels: number, layers: number): ModuleRule[] {
  return range(levels).flatMap((i) => [
    ...blocks(`${path}down.${i}`, `${path}down_blocks.${i}`, layers),
    {
      foreign: `${path}down.${i}.downsample.conv`,
      ours: `${path}down_blocks.${i}.downsamplers.0.conv`,
    },
  ]);
}

function upward(path: string, levels: number, layers: number): ModuleRule[] {
  return range(levels).flatMap((i) => {
    const foreign = `${path}up.${levels - 1 - i}`;
    return [
      ...blocks(foreign, `${path}up_blocks.${i}`, layers + 1),
      { foreign: `${foreign}.upsample.conv`, ours: `${path}up_blocks.${i}.upsamplers.0.conv` },
    ];
  });
}

function blocks(foreign: string, ours: string, count: number): ModuleRule[] {
  return range(count).flatMap((j) => [
    { foreign: `${foreign}.block.${j}`, ours: `${ours}.resnets.${j}`, rules: RESIDUAL },
    { foreign: `${foreign}.attn.${j}`, ours: `${ours}.attentions.${j}`, rules: ATTENTION },
  ]);
}
