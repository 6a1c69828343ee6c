/**
 * Parameter tables: the names and shapes that a network of a class and config must have. They come from the
 * networks themselves, which are laid out without a single value; so a file is compared with what it must
 * hold before anything of it is read.
 */
import { autoencoderKl, readAutoencoderKlConfig } from "../../../models/autoencoder-kl.ts";
import { autoencoderTiny, readAutoencoderTinyConfig } from "../../../models/autoencoder-tiny.ts";
import {
  clipText,
  clipTextWithProjection,
  clipVision,
  clipVisionWithProjection,
  readClipTextConfig,
  readClipVisionConfig,
} from "../../../models/clip.ts";
import { controlNet, readControlNetConfig } from "../../../models/controlnet.ts";
import { readT2iAdapterConfig, t2iAdapter } from "../../../models/t2i-adapter.ts";
import { readT5EncoderConfig, t5Encoder } from "../../../models/t5.ts";
import { readUnet2dConditionConfig, unet2dCondition } from "../../../models/unet-2d-condition.ts";
import { readUnet2dConfig, unet2d } from "../../../models/unet-2d.ts";
import { readVitConfig, vit } from "../../../models/vit.ts";
import { readVqModelConfig, vqModel } from "../../../models/vq-model.ts";
import type { Layer } from "../../../nn/layer.ts";
import { isJsonObject, type JsonObject } from "../../json.ts";
import { checkConfig } from "./check-config.ts";

/** Shapes by parameter name. */
export type ParameterTable = ReadonlyMap<string, readonly number[]>;

const TABLES: Readonly<Record<string, (config: JsonObject) => ParameterTable>> = {
  UNet2DModel: (config) => tableOf(unet2d(readUnet2dConfig(config))),
  UNet2DConditionModel: (config) => tableOf(unet2dCondition(readUnet2dConditionConfig(config))),
  ControlNetModel: (config) => tableOf(controlNet(readControlNetConfig(config))),
  AutoencoderKL: (config) => tableOf(autoencoderKl(readAutoencoderKlConfig(config)).whole),
  VQModel: (config) => {
    const { encode, quantize, decode } = vqModel(readVqModelConfig(config));
    return tableOf(encode, quantize, decode);
  },
  AutoencoderTiny: (config) => {
    const { encode, decode } = autoencoderTiny(readAutoencoderTinyConfig(config));
    return tableOf(encode, decode);
  },
  T2IAdapter: (config) => tableOf(t2iAdapter(readT2iAdapterConfig(config))),
  CLIPTextModel: (config) => tableOf(clipText(readClipTextConfig(clipKeys(config)))),
  CLIPTextModelWithProjection: (config) =>
    tableOf(clipTextWithProjection(readClipTextConfig(clipKeys(config)))),
  CLIPVisionModel: (config) => tableOf(clipVision(readClipVisionConfig(clipKeys(config)))),
  CLIPVisionModelWithProjection: (config) =>
    tableOf(clipVisionWithProjection(readClipVisionConfig(clipKeys(config)))),
  CLIPModel: clipTable,
  T5EncoderModel: (config) => tableOf(t5Encoder(readT5EncoderConfig(config))),
  ViTForImageClassification: (config) => tableOf(vit(readVitConfig(config))),
};

/** Classes whose parameters are known by name and shape. */
export const KNOWN_CLASSES: readonly string[] = Object.keys(TABLES);

/**
 * Names and shapes of a class's parameters; undefined for classes without a table, which cannot be checked.
 *
 * @throws NijimiError when the config holds a value that no network can have, or that ours does not
 */
export function parameterTable(className: string, config: JsonObject): ParameterTable | undefined {
  if (!Object.hasOwn(TABLES, className)) return undefined;
  checkConfig(config);
  return TABLES[className](config);
}

function tableOf(...layers: readonly Layer<never, unknown>[]): ParameterTable {
  return new Map(
    layers.flatMap(({ parameters }) =>
      Object.entries(parameters).map(([name, { shape }]) => [name, shape] as const),
    ),
  );
}

/** Both towers, both projections, the temperature. */
function clipTable(config: JsonObject): ParameterTable {
  const projection = { projection_dim: config.projection_dim ?? 512 };
  const tower = (key: string) => {
    const own = config[key];
    return { ...(isJsonObject(own) ? own : {}), ...projection };
  };
  const [text, vision] = [tower("text_config"), tower("vision_config")];
  checkConfig(text);
  checkConfig(vision);
  return new Map([
    ["logit_scale", []],
    ...TABLES.CLIPTextModelWithProjection(text),
    ...TABLES.CLIPVisionModelWithProjection(vision),
  ]);
}

/** transformers writes every setting that a model ever had; these are the ones that decide shapes. */
const CLIP_KEYS = [
  "hidden_size",
  "image_size",
  "intermediate_size",
  "max_position_embeddings",
  "num_channels",
  "num_hidden_layers",
  "patch_size",
  "projection_dim",
  "vocab_size",
];

function clipKeys(config: JsonObject): JsonObject {
  return Object.fromEntries(
    CLIP_KEYS.filter((key) => key in config).map((key) => [key, config[key]]),
  );
}
