/**
 * The one way in: a folder or a file of any known layout becomes components under our names, with their
 * configs, schedulers and tokenizers. Nothing but headers and configs is read until an entry is asked for,
 * and then one tensor at a time.
 */
import { NijimiError } from "../../errors.ts";
import { isAdapterFile } from "../adapters/modules.ts";
import type { Checkpoint, CheckpointFormat, Metadata } from "../checkpoint.ts";
import type { Folder } from "../files/folder.ts";
import type { HttpOptions } from "../files/http-source.ts";
import type { SourceInput } from "../files/open-source.ts";
import type { JsonObject } from "../json.ts";
import { readAuthors } from "./authors/read.ts";
import { findCompanions, type Companions } from "./companions.ts";
import { assertUsable, makeComponent, type Component } from "./component.ts";
import type { Family } from "./families.ts";
import {
  classOf,
  componentName,
  currentNames,
  readFolder,
  type FolderParts,
} from "./folder/read-folder.ts";
import { folderFamily, LATENT_TASKS } from "./folder/family.ts";
import { readDiffusersNetwork } from "./networks.ts";
import { openFolderOrFile } from "./open.ts";
import {
  readControlNet,
  readSingleFile,
  type PipelineParts,
} from "./stable-diffusion/single-file.ts";
import type { Architecture } from "./stable-diffusion/configs.ts";
import type { Prediction } from "./stable-diffusion/schedulers.ts";
import { unwrap, type Unwrapped } from "./unwrap.ts";

/** How a checkpoint is read. */
export interface LoadOptions {
  /** Configs by component, for files whose shapes do not tell them. @default `architecture.json` beside the file */
  readonly architecture?: Architecture;
  /** Weights of this variant in a diffusers folder, e.g. `"fp16"`. @default plain weights, then fp16 and others */
  readonly variant?: string;
  /** The running average of a single file's U-Net. @default false */
  readonly ema?: boolean;
  /** What a single file's U-Net predicts. @default from metadata, a `.yaml` beside it, or the weights */
  readonly prediction?: Prediction;
  /** For URLs. */
  readonly http?: HttpOptions;
}

/** A checkpoint as a pipeline takes it. */
export interface LoadedCheckpoint extends FolderParts {
  /** For messages: the path, URL or name. */
  readonly name: string;
  /** Id of the family, e.g. `"stable-diffusion-1"`; see `FAMILIES`. */
  readonly family: string;
  /** The family for people, with what sets this checkpoint apart. */
  readonly title: string;
  /** `"folder"`, or the file's format. */
  readonly format: "folder" | CheckpointFormat;
  /** Parameters that are not there, as `component.parameter`. */
  readonly missing: readonly string[];
  /** Tensors that nothing takes, under the file's names, with their component where there is one. */
  readonly unexpected: readonly string[];
  /** What was concluded rather than read. */
  readonly notes: readonly string[];
}

/**
 * Reads a checkpoint and refuses what cannot be used: missing or misshapen parameters, unknown families.
 *
 * @param input path of a file or folder (Node), URL, `File`, bytes, or an open folder
 * @throws NijimiError `checkpoint`, `format`, `unsafe`, `unsupported` …, each saying what is wrong and where
 * @example
 * const { components, schedulers, close } = await loadCheckpoint("v1-5-pruned-emaonly.safetensors");
 * const weight = await components.unet.entries["conv_in.weight"].read();
 */
export async function loadCheckpoint(
  input: SourceInput | Folder,
  options: LoadOptions = {},
): Promise<LoadedCheckpoint> {
  const checkpoint = await describeCheckpoint(input, options);
  try {
    for (const [name, component] of Object.entries(checkpoint.components))
      assertUsable(component, checkpoint.name, name);
    return checkpoint;
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

/**
 * Reads a checkpoint as far as it can be read: what is missing is listed, not refused. For looking at files;
 * to use one, call {@link loadCheckpoint}.
 */
export async function describeCheckpoint(
  input: SourceInput | Folder,
  options: LoadOptions = {},
): Promise<LoadedCheckpoint> {
  const opened = await openFolderOrFile(input, options.http);
  if (opened.kind === "folder") return describeFolder(opened.folder, options);
  const { checkpoint } = opened;
  try {
    const companions = await findCompanions(input as SourceInput, options.http);
    return await describeFile(checkpoint, companions, options);
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

/**
 * Says of an open checkpoint what {@link describeCheckpoint} says of a file. Closing the result closes it.
 *
 * @param options `architecture` is all there is; nothing is looked for beside the checkpoint
 */
export async function describeOpened(
  checkpoint: Checkpoint,
  options: LoadOptions = {},
): Promise<LoadedCheckpoint> {
  return describeFile(checkpoint, {}, options);
}

async function describeFolder(folder: Folder, { variant }: LoadOptions): Promise<LoadedCheckpoint> {
  const parts = await readFolder(folder, variant);
  return finish({
    ...parts,
    ...folderFamily(parts.pipeline, parts.components),
    name: folder.name,
    format: "folder",
    notes: [],
  });
}

async function describeFile(
  checkpoint: Checkpoint,
  { architecture, config, prediction }: Companions,
  options: LoadOptions,
): Promise<LoadedCheckpoint> {
  const { name, format, metadata } = checkpoint;
  const found = unwrap(checkpoint.entries);
  if (!found) throw unknownFamily(checkpoint);
  if (found.family.support === "refused")
    throw new NijimiError(
      "unsupported",
      `${name} is ${found.family.title}, which this library does not run.`,
    );
  const parts = await readFile(found, metadata, config, {
    ...options,
    architecture: options.architecture ?? architecture,
    prediction: options.prediction ?? prediction,
  });
  return finish({
    ...parts,
    unexpected: [
      ...parts.unexpected,
      ...found.outside.filter((outside) => !TRAINING_STATE.test(outside)),
    ],
    family: found.family.id,
    title: titleOf(found.family, parts.components),
    name,
    format,
    files: {},
    settings: {},
    metadata,
    close: () => checkpoint.close(),
  });
}

/** Optimisers, averages and counters that training code saves beside a network; inputs and outputs of a reference case. */
const TRAINING_STATE =
  /(^|\.)(optimizer\w*|opt_state|optim|lr_schedulers?|ema\w*|shadow_params|callbacks|loops|step|steps|epoch)(\.|$)|^[1-9]\d*(\.|$)|^(in|out|grad|noise\w*|traj\w*|table|f64)(\.|$)/;

async function readFile(
  { family, entries }: Unwrapped,
  metadata: Metadata,
  config: JsonObject | undefined,
  options: LoadOptions,
): Promise<PipelineParts> {
  if ("model.diffusion_model.input_blocks.0.0.weight" in entries)
    return readSingleFile(family.id, entries, metadata, options);
  return {
    components: readNetworks(family, entries, config, options),
    schedulers: {},
    unexpected: [],
    notes: [],
  };
}

function readNetworks(
  family: Family,
  entries: Unwrapped["entries"],
  config: JsonObject | undefined,
  { architecture }: LoadOptions,
): Record<string, Component> {
  if (config) {
    const className = classOf(config, "The folder of the file");
    return {
      [componentName(className)]: makeComponent({
        className,
        config,
        entries: currentNames(entries),
      }),
    };
  }
  if (family.id === "controlnet") return { controlnet: readControlNet(entries, architecture) };
  return (
    readDiffusersNetwork(family.id, entries, architecture) ??
    readAuthors(family, entries, architecture)
  );
}

/** A family's title, with what a U-Net's input channels say about its task. */
function titleOf({ title }: Family, { unet }: Readonly<Record<string, Component>>): string {
  const task = LATENT_TASKS[Number(unet?.config.in_channels)];
  return task !== undefined && title.startsWith("Stable Diffusion") ? `${title}, ${task}` : title;
}

function unknownFamily({ name, entries }: Checkpoint): NijimiError {
  if (isAdapterFile(entries))
    return new NijimiError(
      "checkpoint",
      `${name} holds low-rank adapters (LoRA), not a model: name the model, and this file as an adapter to it.`,
    );
  const names = Object.keys(entries);
  const some = `${names.slice(0, 4).join(", ")}${names.length > 4 ? ", …" : ""}`;
  return new NijimiError(
    "unsupported",
    `${name} is of no known family. It has ${names.length} tensors: ${some}. Known are Stable Diffusion 1, 2 and XL with their ` +
      "parts, networks of diffusers and transformers, and the released files of the papers that this library is about.",
  );
}

type Unfinished = Omit<LoadedCheckpoint, "missing" | "unexpected"> & {
  readonly unexpected?: readonly string[];
};

/** Collects what components miss and leave over. */
function finish(checkpoint: Unfinished): LoadedCheckpoint {
  const parts = Object.entries(checkpoint.components);
  return {
    ...checkpoint,
    missing: parts.flatMap(([name, { missing }]) =>
      missing.map((parameter) => `${name}.${parameter}`),
    ),
    unexpected: [
      ...(checkpoint.unexpected ?? []),
      ...parts.flatMap(([name, { unexpected }]) =>
        unexpected.map((tensor) => `${name}: ${tensor}`),
      ),
    ],
  };
}
