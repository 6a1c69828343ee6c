/** The networks that condition Stable Diffusion's U-Net: CLIP's towers, and latent diffusion's own BERT. */
import type { Entries } from "../../checkpoint.ts";
import type { JsonObject } from "../../json.ts";
import { bertConfig, bertLayers, bertMap } from "../authors/bert.ts";
import { clipTextMap, clipVisionMap, TRANSFORMERS_TEXT } from "../clip.ts";
import { makeComponent, mappedComponent, type Component } from "../component.ts";
import { entriesBelow, toOurs } from "../key-map.ts";
import { lastIndex } from "../unet-outline.ts";
import {
  architectureOf,
  shapeOf,
  textConfig,
  type Architecture,
  type TextOptions,
} from "./configs.ts";

/** Reads whatever conditions the U-Net, by the family of the file. */
export function readTextEncoders(
  family: string,
  entries: Entries,
  architecture?: Architecture,
): Record<string, Component> {
  if (family === "sdxl")
    return {
      text_encoder: readTransformersText(
        "conditioner.embedders.0.transformer",
        entries,
        architectureOf(architecture, "text_encoder"),
      ),
      text_encoder_2: readOpenClipText(
        "conditioner.embedders.1.model",
        entries,
        {
          projection: true,
          activation: "gelu",
        },
        architectureOf(architecture, "text_encoder_2"),
      ),
    };
  if (family === "sdxl-refiner")
    return {
      text_encoder_2: readOpenClipText(
        "conditioner.embedders.0.model",
        entries,
        {
          projection: true,
          activation: "gelu",
        },
        architectureOf(architecture, "text_encoder_2"),
      ),
    };
  const given = architectureOf(architecture, "text_encoder");
  if ("cond_stage_model.model.positional_embedding" in entries)
    return {
      text_encoder: readOpenClipText(
        "cond_stage_model.model",
        entries,
        {
          projection: family === "stable-diffusion-2-unclip",
          activation: "gelu",
          unusedLayers: family === "stable-diffusion-2-unclip" ? 0 : 1,
        },
        given,
      ),
    };
  const own = entriesBelow("cond_stage_model", entries);
  if ("transformer.token_emb.weight" in own) return { bert: readBert(own) };
  if ("embedding.weight" in own)
    return {
      class_embedder: makeComponent({ className: "ClassEmbedder", config: {}, entries: own }),
    };
  return Object.keys(own).length > 0
    ? { text_encoder: readTransformersText("cond_stage_model.transformer", entries, given) }
    : {};
}

/** Latent diffusion's own text encoder. */
export function readBert(entries: Entries): Component {
  return mappedComponent(
    "LDMBertModel",
    bertConfig(entries),
    entries,
    bertMap(bertLayers(entries)),
  );
}

function readTransformersText(
  path: string,
  entries: Entries,
  architecture?: JsonObject,
): Component {
  const { entries: ours, unmapped } = toOurs(TRANSFORMERS_TEXT, entriesBelow(path, entries));
  const found = textConfig(ours, { projection: false, activation: "quick_gelu" }, architecture);
  return makeComponent({
    ...found,
    className: "CLIPTextModel",
    entries: ours,
    unexpected: unmapped,
  });
}

function readOpenClipText(
  path: string,
  entries: Entries,
  options: TextOptions,
  architecture?: JsonObject,
): Component {
  const foreign = entriesBelow(path, entries);
  const stored = lastIndex(foreign, "transformer.resblocks") + 1;
  const found = textConfig(toOurs(clipTextMap(stored), foreign).entries, options, architecture);
  const { entries: ours, unmapped } = toOurs(
    clipTextMap(Number(found.config.num_hidden_layers)),
    foreign,
  );
  const isUnused = (name: string) =>
    /^transformer\.resblocks\.|^(logit_scale|attn_mask)$/.test(name);
  if (!options.projection) delete ours["text_projection.weight"];
  return makeComponent({
    ...found,
    className: options.projection ? "CLIPTextModelWithProjection" : "CLIPTextModel",
    entries: ours,
    unexpected: unmapped.filter((name) => !isUnused(name)),
    unused: unmapped.filter(isUnused),
  });
}

/** The image tower of unCLIP checkpoints. */
export function readImageEncoder(entries: Entries): Component {
  const layers = lastIndex(entries, "transformer.resblocks") + 1;
  const [width, , patch] = shapeOf(entries, "conv1.weight");
  const side = Math.sqrt(shapeOf(entries, "positional_embedding")[0] - 1);
  const config = {
    architectures: ["CLIPVisionModelWithProjection"],
    model_type: "clip_vision_model",
    hidden_size: width,
    intermediate_size: shapeOf(entries, "transformer.resblocks.0.mlp.c_fc.weight")[0],
    num_hidden_layers: layers,
    // OpenCLIP's H tower has heads of 80, the others of 64.
    num_attention_heads: width % 64 === 0 && width !== 1280 ? width / 64 : width / 80,
    image_size: side * patch,
    patch_size: patch,
    projection_dim: shapeOf(entries, "proj")[1],
    hidden_act: "gelu",
  };
  return mappedComponent(
    "CLIPVisionModelWithProjection",
    { config, undetermined: [] },
    entries,
    clipVisionMap(layers),
  );
}
