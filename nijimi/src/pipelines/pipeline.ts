/**
 * A loaded Stable Diffusion: its networks, compiled when first needed and once, its scheduler, and the adapters it
 * may use by name. Plain data; the tasks (`textToImage`, `imageToImage`, `inpaint`) are functions of it.
 */
import { type LoadedAdapter, loadAdapter } from "../checkpoints/adapters/lora.ts";
import { loadTextualInversion } from "../checkpoints/adapters/textual-inversion.ts";
import type { Folder } from "../checkpoints/files/folder.ts";
import { openFolder, type SourceInput } from "../checkpoints/files/open-source.ts";
import type { JsonObject } from "../checkpoints/json.ts";
import type { Component } from "../checkpoints/layouts/component.ts";
import {
  loadCheckpoint,
  type LoadedCheckpoint,
  type LoadOptions,
} from "../checkpoints/layouts/load.ts";
import { loadQuantized } from "../checkpoints/quantized/cache.ts";
import { checkPrecision } from "../checkpoints/quantized/policy.ts";
import { NijimiError, unknownName } from "../errors.ts";
import { createClipTokenizer } from "../text/clip.ts";
import { loadTokenizer, TOKENIZER_FILES, type TokenizerFiles } from "../text/load-tokenizer.ts";
import { loadClipVocabulary } from "../text/vocabulary/load.ts";
import {
  type MakeTokenizer,
  type PromptTokeniser,
  promptTokeniser,
  wordVectors,
} from "./conditioning/tokens.ts";
import { seamless, type SeamlessAxes } from "./hooks/seamless.ts";
import { type Autoencoder, autoencoder } from "./networks/autoencoder.ts";
import { adapterNetworks, memoised, type Opened } from "./networks/adapter-networks.ts";
import type { ControlNetwork } from "./networks/control.ts";
import type { ImagePrompt } from "./networks/image-prompt.ts";
import type { PictureFeatures } from "./networks/picture-features.ts";
import type { SafetyChecker } from "./networks/safety.ts";
import { type TextEncoder, textEncoder } from "./networks/text-encoder.ts";
import { type Unet, unetNetwork } from "./networks/unet.ts";
import { colourPreviewer, type Previewer, tinyPreviewer } from "./previews.ts";
import type { Precision, RuntimeOptions } from "./networks/weights.ts";
import { lastPart, type LoadFacts } from "./recipe.ts";

/** How a pipeline is loaded. */
export interface PipelineOptions extends RuntimeOptions, LoadOptions {
  /** Another autoencoder: a file or folder. */
  readonly vae?: SourceInput;
  /** Files of adapters by the names that requests and prompts use. Read when first used. */
  readonly loras?: Readonly<Record<string, SourceInput>>;
  /** Finds an adapter that is not in `loras`, e.g. in a folder. */
  readonly findLora?: (name: string) => Promise<SourceInput | undefined>;
  /** Files of textual inversion by the word that stands for them. */
  readonly embeddings?: Readonly<Record<string, SourceInput>>;
  /** ControlNets by the names that requests use. Read when first used. */
  readonly controlNets?: Readonly<Record<string, SourceInput | Folder>>;
  /** T2I-Adapters by the names that requests use. Read when first used. */
  readonly adapters?: Readonly<Record<string, SourceInput | Folder>>;
  /** IP-Adapters by the names that requests use. Read when first used. */
  readonly imagePrompts?: Readonly<Record<string, SourceInput | Folder>>;
  /** CLIP's image tower for IP-Adapters. @default the checkpoint's own, where it has one */
  readonly imageEncoder?: SourceInput | Folder;
  /** Stable Diffusion's safety checker, for requests that ask for it. @default the checkpoint's own, where it has one */
  readonly safetyChecker?: SourceInput;
  /**
   * Hold as little as possible: text encoders and others are given back before sampling, the U-Net before decoding.
   * Each picture then loads them again. @default false
   */
  readonly lowMemory?: boolean;
  /** A tiny autoencoder (TAESD) for previews. @default a linear map to colours */
  readonly previewDecoder?: SourceInput;
  /** Edges that meet when the picture is laid beside itself. @default none */
  readonly seamless?: SeamlessAxes;
  /** Where models that `precision` quantises are kept (Node). @default nowhere: weights are quantised when they are read */
  readonly quantizedFolder?: string;
  /** Called while a model is quantised into that folder. */
  readonly onQuantize?: (done: number, total: number, tensor: string) => void;
  /** Folders of tokenizers by component, for single files with another vocabulary than CLIP's. */
  readonly tokenizers?: Readonly<Record<string, string | Folder>>;
}

/** A text encoder and the words it knows. */
export interface PromptEncoder {
  /** Its name in the checkpoint: `text_encoder` or `text_encoder_2`. */
  readonly name: string;
  readonly encoder: TextEncoder;
  readonly tokeniser: PromptTokeniser;
}

/** See the file's header. */
export interface Pipeline {
  /** For messages and recipes: the path, URL or name. */
  readonly name: string;
  /** Id of the checkpoint's family. */
  readonly family: string;
  /** Two text encoders, sizes as conditions. */
  readonly isSdxl: boolean;
  readonly promptEncoders: readonly PromptEncoder[];
  readonly unet: Unet;
  readonly autoencoder: Autoencoder;
  /** Config of the checkpoint's scheduler. */
  readonly scheduler: JsonObject;
  /** Config of the scheduler that noises small pictures, of upscalers. */
  readonly lowResScheduler?: JsonObject;
  /** Settings of the checkpoint's pipeline. */
  readonly settings: JsonObject;
  /** Side of the pictures that the U-Net was trained on. */
  readonly defaultSize: number;
  /** For recipes. */
  readonly loadedWith: LoadFacts;
  /** What was concluded about the checkpoint rather than read. */
  readonly notes: readonly string[];
  /** The adapter of that name. @throws NijimiError `option` when there is none */
  lora(name: string): Promise<LoadedAdapter>;
  /** The ControlNet of that name. @throws NijimiError `option` when there is none */
  controlNet(name: string): Promise<ControlNetwork>;
  /** The T2I-Adapter of that name. @throws NijimiError `option` when there is none */
  adapter(name: string): Promise<PictureFeatures>;
  /** The IP-Adapter of that name. @throws NijimiError `option` when there is none */
  imagePrompt(name: string): Promise<ImagePrompt>;
  /** The safety checker. @throws NijimiError `option` when there is none */
  safetyChecker(): Promise<SafetyChecker>;
  /** Networks are given back as soon as a picture does not need them any more. */
  readonly lowMemory: boolean;
  /** Small pictures of latents. */
  readonly preview: Previewer;
  /** Gives back the memory of sessions; they are made again when needed. */
  release(what?: "text-encoders" | "picture-encoders" | "autoencoder" | "unet"): Promise<void>;
  /** Releases everything and closes the files. */
  close(): Promise<void>;
}

/**
 * Loads a Stable Diffusion 1, 2 or XL checkpoint of any layout. Headers and configs are read now, weights when a
 * network is first run.
 *
 * @param input path of a file or folder (Node), URL, `File`, bytes, or an open folder
 * @throws NijimiError `file`, `format`, `checkpoint`, `unsupported`, each saying what is wrong and where
 * @example
 * const pipeline = await loadPipeline("v1-5-pruned-emaonly.safetensors");
 * const [{ image }] = await allImages(textToImage(pipeline, { prompt: "a red cat", seed: 42 }));
 * await pipeline.close();
 */
export async function loadPipeline(
  input: SourceInput | Folder,
  options: PipelineOptions = {},
): Promise<Pipeline> {
  const open: Opened[] = [];
  try {
    const checkpoint = await openAt(input, options);
    open.push(checkpoint);
    return await assemble(checkpoint, options, open);
  } catch (error) {
    for (const one of open) await one.close();
    throw error;
  }
}

/** The checkpoint, quantised where that is asked for. */
async function openAt(
  input: SourceInput | Folder,
  options: PipelineOptions,
): Promise<LoadedCheckpoint> {
  const { precision, quantizedFolder: folder, onQuantize: onTensor, ...others } = options;
  if (precision === undefined || precision === "float32" || precision === "stored")
    return loadCheckpoint(input, others);
  return loadQuantized(input, {
    ...others,
    precision: checkPrecision(precision),
    folder,
    onTensor,
  });
}

const ENCODERS = ["text_encoder", "text_encoder_2"];

async function assemble(
  checkpoint: LoadedCheckpoint,
  options: PipelineOptions,
  open: Opened[],
): Promise<Pipeline> {
  const { components, name } = checkpoint;
  requireComponents(checkpoint, options);
  const promptEncoders: PromptEncoder[] = [];
  for (const own of ENCODERS.filter((encoder) => encoder in components)) {
    const encoder = textEncoder(components[own], options);
    const make = await tokenizerOf(own, checkpoint, options);
    const words = await loadWords(own, encoder.width, options, open);
    promptEncoders.push({ name: own, encoder, tokeniser: promptTokeniser(make, words) });
  }
  const pooledWidth = pooledWidthOf(components);
  const hook = options.seamless === undefined ? undefined : seamless(options.seamless);
  const unet = unetNetwork(components.unet, { ...options, pooledWidth, hook });
  const decoder = autoencoder(await vaeComponent(checkpoint, options, open), {
    ...options,
    hook,
  });
  const loras = memoised(async (lora) => {
    const source = options.loras?.[lora] ?? (await options.findLora?.(lora));
    if (source === undefined) throw unknownName("LoRA", lora, Object.keys(options.loras ?? {}));
    const adapter = await loadAdapter(source, components, options);
    open.push(adapter);
    return adapter;
  });
  const parts = adapterNetworks(checkpoint, { ...options, pooledWidth }, unet, open);
  const tiny = await tinyDecoder(options, open);
  const isSdxl = unet.config.additionEmbedType === "text_time";
  const release: Pipeline["release"] = async (what) => {
    if (what === undefined || what === "text-encoders")
      for (const { encoder } of promptEncoders) await encoder.release();
    if (what === undefined || what === "autoencoder") await decoder.release();
    if (what === undefined || what === "unet") await unet.release();
    if (what === undefined) await tiny?.release();
    if (what === undefined || what === "picture-encoders") await parts.releaseEncoders();
    if (what === undefined) await parts.releaseControls();
  };
  return {
    name,
    family: checkpoint.family,
    isSdxl,
    preview: tiny?.preview ?? colourPreviewer(isSdxl),
    promptEncoders,
    unet,
    autoencoder: decoder,
    scheduler: checkpoint.schedulers.scheduler,
    lowResScheduler: checkpoint.schedulers.low_res_scheduler,
    settings: checkpoint.settings,
    defaultSize: Number(components.unet.config.sample_size ?? 64) * decoder.factor,
    loadedWith: loadFacts(checkpoint, options),
    notes: checkpoint.notes,
    lora: loras.get,
    controlNet: parts.control,
    adapter: parts.adapter,
    imagePrompt: parts.imagePrompt,
    safetyChecker: parts.safetyChecker,
    lowMemory: options.lowMemory ?? false,
    release,
    async close() {
      await release();
      for (const one of open) await one.close();
    },
  };
}

function loadFacts(
  { components }: LoadedCheckpoint,
  { precision = "float32", variant, seamless: axes, vae }: PipelineOptions,
): LoadFacts {
  const stored = Object.values(components).find(({ quantization }) => quantization !== undefined);
  return {
    precision: (stored?.quantization as Precision | undefined) ?? precision,
    variant,
    seamless: axes,
    ...(typeof vae === "string" && { vae: lastPart(vae) }),
  };
}

function requireComponents(
  { components, schedulers, name, title }: LoadedCheckpoint,
  { vae }: PipelineOptions,
): void {
  const wanted: Record<string, readonly string[]> = {
    unet: ["UNet2DConditionModel"],
    ...(vae === undefined && { vae: ["AutoencoderKL"] }),
  };
  const refuse = (what: string) =>
    new NijimiError(
      "unsupported",
      `${name} (${title}) ${what}; this pipeline runs Stable Diffusion 1, 2 and XL. See \`nijimi inspect\`.`,
    );
  for (const [component, classes] of Object.entries(wanted)) {
    const found = components[component];
    if (found === undefined) throw refuse(`has no ${component}`);
    if (!classes.includes(found.className))
      throw refuse(`has a ${found.className} as ${component}`);
  }
  const encoders = ENCODERS.filter((encoder) => encoder in components);
  if (encoders.length === 0) throw refuse("has no text encoder");
  for (const encoder of encoders)
    if (!components[encoder].className.startsWith("CLIPText"))
      throw refuse(`has a ${components[encoder].className} as ${encoder}`);
  if (schedulers.scheduler === undefined) throw refuse("has no scheduler");
}

/** What U-Nets with channels beside the latents are for, as the end of a message. */
const TASKS_BY_CHANNELS: Readonly<Record<number, string>> = {
  1: "; it is for image to image with depth",
  3: "; it is for upscaling",
  4: "; it is for editing by instruction",
  5: "; it is for inpainting",
};

/** @param extra channels beside the latents */
export function taskOfChannels(extra: number): string {
  return TASKS_BY_CHANNELS[extra] ?? "";
}

/** Width of SDXL's pooled text: the projection of its last encoder. */
function pooledWidthOf(components: LoadedCheckpoint["components"]): number | undefined {
  const last = components.text_encoder_2;
  return last && Number(last.config.projection_dim ?? last.config.hidden_size);
}

async function vaeComponent(
  { components }: LoadedCheckpoint,
  { vae, http }: PipelineOptions,
  open: Opened[],
): Promise<Component> {
  if (vae === undefined) return components.vae;
  const loaded = await loadCheckpoint(vae, { http });
  open.push(loaded);
  const found = loaded.components.vae;
  if (found?.className !== "AutoencoderKL")
    throw new NijimiError(
      "unsupported",
      `${loaded.name} is ${loaded.title}; expected an AutoencoderKL.`,
    );
  return found;
}

async function tinyDecoder(options: PipelineOptions, open: Opened[]) {
  if (options.previewDecoder === undefined) return undefined;
  const loaded = await loadCheckpoint(options.previewDecoder, { http: options.http });
  open.push(loaded);
  const found = loaded.components.vae;
  if (found?.className !== "AutoencoderTiny")
    throw new NijimiError(
      "unsupported",
      `${loaded.name} is ${loaded.title}; expected a tiny autoencoder (TAESD) for previews.`,
    );
  return tinyPreviewer(found, options);
}

/** The tokenizer of an encoder: the checkpoint's own, one that was given, or CLIP's. */
async function tokenizerOf(
  encoder: string,
  { files, family, components }: LoadedCheckpoint,
  { tokenizers }: PipelineOptions,
): Promise<MakeTokenizer> {
  const name = encoder.replace("text_encoder", "tokenizer");
  const given = tokenizers?.[name];
  const folder = given === undefined ? files[name]?.folder : await openFolder(given);
  if (folder !== undefined) {
    const contents = await readFiles(folder);
    return (addedTokens) => loadTokenizer(contents, { addedTokens });
  }
  const bpe = await loadClipVocabulary();
  // Stable Diffusion 2 and SDXL's second encoder, both OpenCLIP's, were trained with another padding.
  const isOpenClip =
    name === "tokenizer_2" || (family.includes("2") && !("text_encoder_2" in components));
  const padding = isOpenClip ? [{ content: "!", id: 0, special: true }] : [];
  return (addedTokens) =>
    createClipTokenizer({
      bpe,
      addedTokens: [...padding, ...addedTokens],
      ...(isOpenClip && { paddingToken: "!" }),
    });
}

async function readFiles(folder: Folder): Promise<TokenizerFiles> {
  const contents: Record<string, Uint8Array> = {};
  for (const name of TOKENIZER_FILES) {
    const source = await folder.open(name);
    if (source === undefined) continue;
    contents[name] = await source.read(0, source.size);
    await source.close();
  }
  return contents;
}

async function loadWords(
  encoder: string,
  width: number,
  { embeddings = {}, http }: PipelineOptions,
  open: Opened[],
) {
  const words = [];
  for (const [word, source] of Object.entries(embeddings)) {
    const inversion = await loadTextualInversion(source, { http });
    open.push(inversion);
    words.push(await wordVectors(word, inversion, encoder, width));
  }
  return words;
}
