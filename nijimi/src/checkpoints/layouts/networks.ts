/**
 * Single networks under diffusers' and transformers' names whose config is not there: configs from shapes,
 * as far as they tell.
 */
import type { Entries } from "../checkpoint.ts";
import type { JsonObject } from "../json.ts";
import { clipConfig } from "./authors/read.ts";
import { makeComponent, type Component } from "./component.ts";
import { currentNames } from "./folder/read-folder.ts";
import {
  architectureOf,
  header,
  shapeOf,
  textConfig,
  type Architecture,
} from "./stable-diffusion/configs.ts";
import { lastIndex } from "./unet-outline.ts";

/** Components of a family under our names; undefined for families that are read otherwise. */
export function readDiffusersNetwork(
  family: string,
  entries: Entries,
  architecture?: Architecture,
): Record<string, Component> | undefined {
  const make = (
    name: string,
    className: string,
    config: JsonObject,
    undetermined: readonly string[] = [],
  ) => {
    const given = architectureOf(architecture, name);
    return {
      [name]: makeComponent({
        className,
        config: given ?? config,
        entries: currentNames(entries),
        undetermined: given ? [] : undetermined,
      }),
    };
  };
  switch (family) {
    case "clip-text": {
      const projection = "text_projection.weight" in entries;
      const { config, undetermined } = textConfig(entries, {
        projection,
        activation: "quick_gelu",
      });
      return make(
        "text_encoder",
        projection ? "CLIPTextModelWithProjection" : "CLIPTextModel",
        config,
        undetermined,
      );
    }
    case "clip-transformers": {
      const { config, undetermined } = clipConfig(entries, "quick_gelu");
      return make("clip", "CLIPModel", config, undetermined);
    }
    case "autoencoder-kl":
    case "vq-model": {
      const { config, undetermined } = autoencoderConfigOfOurs(entries, family === "vq-model");
      return make("vae", family === "vq-model" ? "VQModel" : "AutoencoderKL", config, undetermined);
    }
    case "autoencoder-tiny":
      return make("vae", "AutoencoderTiny", tinyConfig(entries));
    case "unet":
    case "unet-condition":
      return {
        unet: withoutConfig(
          family === "unet" ? "UNet2DModel" : "UNet2DConditionModel",
          "unet",
          entries,
          architecture,
        ),
      };
    case "controlnet-diffusers":
      return { controlnet: withoutConfig("ControlNetModel", "controlnet", entries, architecture) };
    default:
      return undefined;
  }
}

/** A network whose config is not there and which shapes do not tell: unchecked, and unusable without one. */
function withoutConfig(
  className: string,
  name: string,
  entries: Entries,
  architecture?: Architecture,
): Component {
  const config = architectureOf(architecture, name);
  if (config) return makeComponent({ className, config, entries: currentNames(entries) });
  const unchecked = makeComponent({ className: "", config: {}, entries: currentNames(entries) });
  return { ...unchecked, className, undetermined: ["config"] };
}

function autoencoderConfigOfOurs(entries: Entries, isVq: boolean) {
  const levels = lastIndex(entries, "encoder.down_blocks") + 1;
  const widths = Array.from(
    { length: levels },
    (_, i) => shapeOf(entries, `encoder.down_blocks.${i}.resnets.0.conv1.weight`)[0],
  );
  const attends = (side: string, i: number) =>
    `${side}.${i}.attentions.0.group_norm.weight` in entries;
  const isReleased = widths.every((width) => width % 32 === 0);
  const latent = shapeOf(entries, "decoder.conv_in.weight")[1];
  const config = {
    ...header(isVq ? "VQModel" : "AutoencoderKL"),
    act_fn: "silu",
    block_out_channels: widths,
    down_block_types: widths.map((_, i) =>
      attends("encoder.down_blocks", i) ? "AttnDownEncoderBlock2D" : "DownEncoderBlock2D",
    ),
    up_block_types: widths.map((_, i) =>
      attends("decoder.up_blocks", i) ? "AttnUpDecoderBlock2D" : "UpDecoderBlock2D",
    ),
    in_channels: shapeOf(entries, "encoder.conv_in.weight")[1],
    out_channels: shapeOf(entries, "decoder.conv_out.weight")[0],
    latent_channels: latent,
    layers_per_block: lastIndex(entries, "encoder.down_blocks.0.resnets") + 1,
    ...(isReleased ? { norm_num_groups: 32 } : {}),
    ...(isVq
      ? {
          num_vq_embeddings: shapeOf(entries, "quantize.embedding.weight")[0],
          vq_embed_dim: shapeOf(entries, "quantize.embedding.weight")[1],
        }
      : {
          use_quant_conv: "quant_conv.weight" in entries,
          use_post_quant_conv: "post_quant_conv.weight" in entries,
          scaling_factor: 0.18215,
        }),
  } as JsonObject;
  return { config, undetermined: isReleased ? [] : ["norm_num_groups"] };
}

/** Blocks between plain convolutions of a flat sequence; a level of the encoder begins with its convolution. */
function tinyConfig(entries: Entries): JsonObject {
  const counts = (half: string) => {
    const found: number[] = [];
    let current = 0;
    for (let i = 1; i <= lastIndex(entries, `${half}.layers`); i++) {
      if (`${half}.layers.${i}.conv.0.weight` in entries) current++;
      else if (`${half}.layers.${i}.weight` in entries) {
        found.push(current);
        current = 0;
      }
    }
    return found;
  };
  const width = (name: string, list: readonly number[]) =>
    list.map(() => shapeOf(entries, name)[0]);
  const [encoder, decoder] = [counts("encoder"), counts("decoder")];
  return {
    ...header("AutoencoderTiny"),
    act_fn: "relu",
    in_channels: shapeOf(entries, "encoder.layers.0.weight")[1],
    out_channels: shapeOf(
      entries,
      `decoder.layers.${lastIndex(entries, "decoder.layers")}.weight`,
    )[0],
    latent_channels: shapeOf(entries, "decoder.layers.0.weight")[1],
    encoder_block_out_channels: width("encoder.layers.0.weight", encoder),
    decoder_block_out_channels: width("decoder.layers.0.weight", decoder),
    num_encoder_blocks: encoder,
    num_decoder_blocks: decoder,
    upsampling_scaling_factor: 2,
  };
}
