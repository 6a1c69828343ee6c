/** Parameter tables by the class names that diffusers and transformers write into configs. */
import type { JsonObject } from "../../json.ts";
import { autoencoderKlTable, autoencoderTinyTable, vqModelTable } from "./autoencoder.ts";
import type { ParameterTable } from "./table.ts";
import {
  clipTable,
  clipTextTable,
  clipVisionTable,
  t5EncoderTable,
  vitTable,
} from "./transformers.ts";
import { controlNetTable, unet2dConditionTable, unet2dTable } from "./unet.ts";

export type { ParameterTable } from "./table.ts";

const TABLES: Readonly<Record<string, (config: JsonObject) => ParameterTable>> = {
  UNet2DModel: unet2dTable,
  UNet2DConditionModel: unet2dConditionTable,
  ControlNetModel: controlNetTable,
  AutoencoderKL: autoencoderKlTable,
  VQModel: vqModelTable,
  AutoencoderTiny: autoencoderTinyTable,
  CLIPTextModel: (config) => clipTextTable(config, false),
  CLIPTextModelWithProjection: (config) => clipTextTable(config, true),
  CLIPVisionModel: (config) => clipVisionTable(config, false),
  CLIPVisionModelWithProjection: (config) => clipVisionTable(config, true),
  CLIPModel: clipTable,
  T5EncoderModel: t5EncoderTable,
  ViTForImageClassification: vitTable,
};

/**
 * Names and shapes of a class's parameters; undefined for classes without a table, which cannot be checked.
 *
 * @throws NijimiError `checkpoint` or `option` when the config holds a value that no network can have
 */
export function parameterTable(className: string, config: JsonObject): ParameterTable | undefined {
  return Object.hasOwn(TABLES, className) ? TABLES[className](config) : undefined;
}

/** Classes whose parameters are known by name and shape. */
export const KNOWN_CLASSES: readonly string[] = Object.keys(TABLES);
