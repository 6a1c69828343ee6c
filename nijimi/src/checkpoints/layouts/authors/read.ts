/** Networks from the papers' own repositories, and single networks without a config: their components. */
import type { Entries } from "../../checkpoint.ts";
import type { JsonObject } from "../../json.ts";
import { ddimUNetMap, pyramidOutline } from "../autoencoder.ts";
import { clipTextMap, clipVisionMap } from "../clip.ts";
import { makeComponent, mappedComponent, type Component, type FoundConfig } from "../component.ts";
import type { Family } from "../families.ts";
import { prefixed, toOurs, type KeyMap } from "../key-map.ts";
import {
  architectureOf,
  shapeOf,
  textConfig,
  type Architecture,
} from "../stable-diffusion/configs.ts";
import { readBert } from "../stable-diffusion/encoders.ts";
import { readFirstStage } from "../stable-diffusion/first-stage.ts";
import { readConditionUNet } from "../stable-diffusion/single-file.ts";
import { lastIndex } from "../unet-outline.ts";
import { ddimConfig, readOpenAIUNet } from "./unet.ts";
import { readIpAdapter } from "./ip-adapter.ts";
import { t2iAdapterConfig, t2iAdapterLevels, t2iAdapterMap } from "./t2i-adapter.ts";
import { taesdConfig, taesdMap, withHalf } from "./taesd.ts";
import { vitJaxConfig, vitJaxMap, withDots } from "./vit-jax.ts";

type Components = Record<string, Component>;
type Reader = (entries: Entries, architecture?: Architecture) => Components;

const READERS: Readonly<Record<string, Reader>> = {
  "latent-diffusion-unet": (entries, architecture) => ({
    unet: readConditionUNet(entries, architectureOf(architecture, "unet")),
  }),
  "latent-diffusion-autoencoder": (entries, architecture) => ({
    vae: readFirstStage(entries, 0.18215, architectureOf(architecture, "vae")),
  }),
  "taming-vqgan": (entries, architecture) => ({
    vae: readFirstStage(entries, 1, architectureOf(architecture, "vae")),
  }),
  "latent-diffusion-bert": (entries) => ({ bert: readBert(entries) }),
  ddim: (entries) => ({
    unet: mappedComponent(
      "UNet2DModel",
      ddimConfig(entries),
      entries,
      ddimUNetMap(pyramidOutline(entries, "")),
    ),
  }),
  "guided-diffusion": (entries, architecture) => ({ unet: readOpenAIUNet(entries, architecture) }),
  "improved-diffusion": (entries, architecture) => ({
    unet: readOpenAIUNet(entries, architecture),
  }),
  "openai-clip": (entries, architecture) => ({
    clip: readClip(entries, architectureOf(architecture, "clip")),
  }),
  "vit-jax": (entries) => {
    const dotted = withDots(entries);
    return {
      vit: mappedComponent(
        "ViTForImageClassification",
        vitJaxConfig(dotted),
        dotted,
        vitJaxMap(dotted),
      ),
    };
  },
  taesd: (entries) => ({ vae: readTaesd(entries) }),
  "taesd-encoder": (entries) => ({ vae: readTaesd(withHalf("encoder", entries)) }),
  "taesd-decoder": (entries) => ({ vae: readTaesd(withHalf("decoder", entries)) }),
  "ip-adapter": readIpAdapter,
  "t2i-adapter": (entries) => ({ adapter: readT2iAdapter(entries) }),
};

/** Components of a file of a family that has a reader or keeps its names. */
export function readAuthors(
  family: Family,
  entries: Entries,
  architecture?: Architecture,
): Components {
  const reader = Object.hasOwn(READERS, family.id) ? READERS[family.id] : undefined;
  return reader?.(entries, architecture) ?? { model: asTheyAre(family.id, entries) };
}

/** A network under its authors' names. */
export function asTheyAre(className: string, entries: Entries, config: JsonObject = {}): Component {
  return makeComponent({ className, config, entries });
}

/** Both towers. The activation is OpenAI's where the file says that it is theirs. */
function readClip(entries: Entries, architecture?: JsonObject): Component {
  const [textLayers, visionLayers] = ["transformer.resblocks", "visual.transformer.resblocks"].map(
    (path) => lastIndex(entries, path) + 1,
  );
  const map: KeyMap = [
    ...clipTextMap(textLayers),
    ...prefixed(clipVisionMap(visionLayers), { foreign: "visual" }),
    { foreign: "logit_scale", ours: "logit_scale" },
  ];
  const { entries: ours, unmapped } = toOurs(map, entries);
  const stored = new Set(["input_resolution", "context_length", "vocab_size", "attn_mask"]);
  const isOpenAI = "input_resolution" in entries;
  const activation = isOpenAI ? "quick_gelu" : "gelu";
  const complete =
    "text_model.encoder.layers.0.mlp.fc1.weight" in ours &&
    "vision_model.encoder.layers.0.mlp.fc1.weight" in ours;
  const found = architecture
    ? { config: architecture, undetermined: [] }
    : complete
      ? clipConfig(ours, activation)
      : { config: {}, undetermined: [] };
  const isActivationKnown = isOpenAI || architecture !== undefined;
  return makeComponent({
    className: complete ? "CLIPModel" : "CLIP, incomplete",
    config: found.config,
    undetermined: [...found.undetermined, ...(isActivationKnown ? [] : ["hidden_act"])],
    entries: ours,
    unexpected: unmapped.filter((name) => !stored.has(name)),
    unused: unmapped.filter((name) => stored.has(name)),
  });
}

/** CLIPConfig for both towers under transformers' names. */
export function clipConfig(entries: Entries, activation: "gelu" | "quick_gelu"): FoundConfig {
  const text = textConfig(entries, { projection: true, activation });
  const [width, channels, patch] = shapeOf(
    entries,
    "vision_model.embeddings.patch_embedding.weight",
  );
  const [positions] = shapeOf(entries, "vision_model.embeddings.position_embedding.weight");
  const projection = shapeOf(entries, "visual_projection.weight")[0];
  const { architectures: _, ...textOwn } = text.config;
  const config: JsonObject = {
    architectures: ["CLIPModel"],
    model_type: "clip",
    projection_dim: projection,
    logit_scale_init_value: 2.6592,
    text_config: textOwn,
    vision_config: {
      model_type: "clip_vision_model",
      hidden_size: width,
      intermediate_size: shapeOf(entries, "vision_model.encoder.layers.0.mlp.fc1.weight")[0],
      num_hidden_layers: lastIndex(entries, "vision_model.encoder.layers") + 1,
      ...(width % 64 === 0 ? { num_attention_heads: width === 1280 ? 16 : width / 64 } : {}),
      num_channels: channels,
      patch_size: patch,
      image_size: patch * Math.sqrt(positions - 1),
      projection_dim: projection,
      hidden_act: activation,
      layer_norm_eps: 1e-5,
    },
  };
  return { config, undetermined: width % 64 === 0 ? text.undetermined : ["num_attention_heads"] };
}

function readTaesd(entries: Entries): Component {
  const { entries: ours, unmapped } = toOurs(taesdMap(entries), entries);
  const halves = ["encoder", "decoder"].filter((half) =>
    Object.keys(ours).some((name) => name.startsWith(`${half}.`)),
  );
  return makeComponent({
    ...taesdConfig(entries),
    className: "AutoencoderTiny",
    entries: ours,
    unexpected: unmapped,
    parts: halves,
  });
}

function readT2iAdapter(entries: Entries): Component {
  const { entries: ours, unmapped } =
    "adapter.conv_in.weight" in entries
      ? { entries, unmapped: [] }
      : toOurs(t2iAdapterMap(t2iAdapterLevels(entries)), entries);
  return makeComponent({
    ...t2iAdapterConfig(ours),
    className: "T2IAdapter",
    entries: ours,
    unexpected: unmapped,
  });
}
