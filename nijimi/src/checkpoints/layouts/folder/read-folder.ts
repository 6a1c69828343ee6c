/** Folders as diffusers and transformers write them: whole pipelines, single networks, schedulers. */
import { NijimiError } from "../../../errors.ts";
import type { Entries, Metadata } from "../../checkpoint.ts";
import { readText, type Folder } from "../../files/folder.ts";
import { isJsonObject, parseJsonObject, type JsonObject } from "../../json.ts";
import { DEPRECATED_ATTENTION } from "../autoencoder.ts";
import { makeComponent, type Component } from "../component.ts";
import { joinQuantized } from "../../quantized/stored.ts";
import { parameterTable } from "../parameters/by-class.ts";
import { toOurs, type ModuleRule } from "../key-map.ts";
import { kindOf, parseModelIndex, type Part } from "./model-index.ts";
import { openWeights, where } from "./weights.ts";

/** A part that is files only. */
export interface PartFiles {
  readonly folder: Folder;
  readonly className: string;
  /** Python library of the class. */
  readonly library: string;
}

/** What a folder holds. */
export interface FolderParts {
  /** Class of the pipeline in diffusers; undefined for a single network or scheduler, and for files. */
  readonly pipeline?: string;
  /** Networks by their name in a pipeline: `unet`, `vae`, `text_encoder`, … */
  readonly components: Readonly<Record<string, Component>>;
  /** Scheduler configs by name: `scheduler`, for upscalers also `low_res_scheduler`. */
  readonly schedulers: Readonly<Record<string, JsonObject>>;
  /** Tokenizers and image processors, with the folders of their files; empty for single files. */
  readonly files: Readonly<Record<string, PartFiles>>;
  /** Settings of the pipeline in `model_index.json`. */
  readonly settings: JsonObject;
  readonly metadata: Metadata;
  close(): Promise<void>;
}

/**
 * Reads a folder: configs and headers, no weights.
 *
 * @param variant see `openWeights`
 * @throws NijimiError for a folder that is none of these, or asks for what is not done
 */
export async function readFolder(folder: Folder, variant?: string): Promise<FolderParts> {
  const index = await readOptional(folder, "model_index.json");
  if (index !== undefined) return readPipeline(folder, index, variant);
  const config = await readOptional(folder, "config.json");
  if (config !== undefined) return readSingle(folder, config, variant);
  const scheduler = await readOptional(folder, "scheduler_config.json");
  if (scheduler !== undefined) {
    const parsed = parseConfig(scheduler, `${folder.name}/scheduler_config.json`);
    return { ...EMPTY, schedulers: { scheduler: parsed }, close: async () => {} };
  }
  throw new NijimiError(
    "checkpoint",
    `${folder.name} has no model_index.json, and neither config.json nor scheduler_config.json: it is no model folder.`,
  );
}

const EMPTY = { components: {}, schedulers: {}, files: {}, settings: {}, metadata: {} } as const;

async function readPipeline(folder: Folder, text: string, variant?: string): Promise<FolderParts> {
  const { pipeline, parts, settings } = parseModelIndex(text, folder.name);
  const components: Record<string, Component> = {};
  const schedulers: Record<string, JsonObject> = {};
  const files: Record<string, PartFiles> = {};
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const closer of closers) await closer();
  };
  try {
    for (const part of parts) {
      if (part.kind === "scheduler")
        schedulers[part.name] = await readConfig(folder, `${part.name}/scheduler_config.json`);
      else if (part.kind === "model") {
        const { component, close: closer } = await readModel(
          folder,
          part.name,
          part.className,
          variant,
        );
        components[part.name] = component;
        closers.push(closer);
      } else {
        const { className, library } = part;
        files[part.name] = { folder: subfolder(folder, part.name), className, library };
      }
    }
    return { pipeline, components, schedulers, files, settings, metadata: {}, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readSingle(folder: Folder, text: string, variant?: string): Promise<FolderParts> {
  const config = parseConfig(text, `${folder.name}/config.json`);
  const className = classOf(config, folder.name);
  const { component, metadata, close } = await readModel(folder, "", className, variant);
  return { ...EMPTY, components: { [componentName(className)]: component }, metadata, close };
}

/** The class that a config is of. */
export function classOf(config: JsonObject, name: string): string {
  const architectures = Array.isArray(config.architectures) ? config.architectures : [];
  const className = config._class_name ?? architectures[0];
  if (typeof className !== "string")
    throw new NijimiError(
      "format",
      `${name}: config.json names no class ("_class_name" or "architectures").`,
    );
  if (kindOf(className) !== "model")
    throw new NijimiError(
      "unsupported",
      `${name} is a ${className}, which this library has no network for.`,
    );
  return className;
}

/** What a network is called in a pipeline. */
export function componentName(className: string): Part["name"] {
  if (className.startsWith("UNet2D")) return "unet";
  if (className === "ControlNetModel") return "controlnet";
  if (/^(Autoencoder|VQModel)/.test(className)) return "vae";
  if (/^CLIPText|^T5|^LDMBert/.test(className)) return "text_encoder";
  if (className.startsWith("CLIPVision")) return "image_encoder";
  return "model";
}

async function readModel(folder: Folder, path: string, className: string, variant?: string) {
  const config = await readConfig(folder, path === "" ? "config.json" : `${path}/config.json`);
  const place = where(folder, path);
  const stated = config._class_name;
  if (stated !== undefined && stated !== className)
    throw new NijimiError(
      "checkpoint",
      `${place}: config.json is of the class ${JSON.stringify(stated)}, model_index.json says ${className}.`,
    );
  const weights = await openWeights(folder, path, variant);
  try {
    const { quantization_config: scheme, ...own } = config;
    const entries =
      scheme === undefined
        ? currentNames(weights.entries)
        : joinQuantized(weights.entries, parameterTable(className, own), scheme, place);
    const component = {
      ...makeComponent({ className, config: own, entries }),
      ...(isJsonObject(scheme) && { quantization: String(scheme.precision) }),
    };
    return { component, metadata: weights.metadata, close: weights.close };
  } catch (error) {
    await weights.close();
    throw error;
  }
}

/** Names that diffusers gave before version 0.12, replaced by today's. */
export function currentNames(entries: Entries): Entries {
  const modules = new Map<string, ModuleRule>([["", { foreign: "", ours: "" }]]);
  for (const name of Object.keys(entries)) {
    const path = /^(.*attentions\.\d+)\.(query|key|value|proj_attn)\.(weight|bias)$/.exec(
      name,
    )?.[1];
    if (path !== undefined)
      modules.set(path, { foreign: path, ours: path, rules: DEPRECATED_ATTENTION });
  }
  return modules.size === 1 ? entries : toOurs([...modules.values()], entries).entries;
}

/** A folder's subfolder. */
function subfolder(folder: Folder, path: string): Folder {
  return {
    name: where(folder, path),
    open: (file) => folder.open(`${path}/${file}`),
    list: async () => {
      const files = await folder.list();
      return files
        ?.filter((file) => file.startsWith(`${path}/`))
        .map((file) => file.slice(path.length + 1));
    },
  };
}

async function readConfig(folder: Folder, file: string): Promise<JsonObject> {
  const text = await readOptional(folder, file);
  if (text === undefined) throw new NijimiError("checkpoint", `${folder.name} lacks ${file}.`);
  return parseConfig(text, `${folder.name}/${file}`);
}

/** Parses a config; Python's bare `-Infinity` is accepted. */
function parseConfig(text: string, name: string): JsonObject {
  return parseJsonObject(text, { nonFinite: true, name });
}

async function readOptional(folder: Folder, file: string): Promise<string | undefined> {
  const source = await folder.open(file);
  if (!source) return undefined;
  try {
    return await readText(source);
  } finally {
    await source.close();
  }
}
