/** A loaded checkpoint as a diffusers folder has it: which pipeline, which libraries, which tokenizers. */
import { NijimiError } from "../../../errors.ts";
import { readText, type Folder } from "../../files/folder.ts";
import type { JsonObject } from "../../json.ts";
import type { SavedComponent, SavedPipeline } from "../../save-folder.ts";
import { makeComponent, type Component } from "../component.ts";
import type { LoadedCheckpoint } from "../load.ts";
import { CLIP_VOCABULARY_SIZE, clipTokenizerFiles } from "./tokenizer-files.ts";

/** Pipelines of families that come as single files, and parts that diffusers wants named though they are not there. */
const PIPELINES: Readonly<
  Record<
    string,
    {
      readonly className: string;
      readonly absent?: readonly string[];
      readonly settings?: JsonObject;
    }
  >
> = {
  "stable-diffusion-1": {
    className: "StableDiffusionPipeline",
    absent: ["feature_extractor", "safety_checker", "image_encoder"],
    settings: { requires_safety_checker: false },
  },
  "stable-diffusion-2": {
    className: "StableDiffusionPipeline",
    absent: ["feature_extractor", "safety_checker", "image_encoder"],
    settings: { requires_safety_checker: false },
  },
  "stable-diffusion-x4-upscaler": { className: "StableDiffusionUpscalePipeline" },
  sdxl: {
    className: "StableDiffusionXLPipeline",
    absent: ["feature_extractor", "image_encoder"],
    settings: { force_zeros_for_empty_prompt: true },
  },
  "sdxl-refiner": {
    className: "StableDiffusionXLImg2ImgPipeline",
    absent: ["text_encoder", "tokenizer", "feature_extractor", "image_encoder"],
    settings: { force_zeros_for_empty_prompt: false, requires_aesthetics_score: true },
  },
};

/** Pipelines by what the U-Net takes beside the latents. */
const BY_CHANNELS: Readonly<Record<number, readonly (readonly [from: string, to: string])[]>> = {
  9: [
    ["StableDiffusionPipeline", "StableDiffusionInpaintPipeline"],
    ["StableDiffusionXLPipeline", "StableDiffusionXLInpaintPipeline"],
  ],
  8: [["StableDiffusionPipeline", "StableDiffusionInstructPix2PixPipeline"]],
};

/** Tokenizer's and processor's files that are asked for where a folder cannot be listed. */
const USUAL_FILES = [
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "tokenizer.json",
  "spiece.model",
  "preprocessor_config.json",
];

/**
 * What is to be written as a diffusers folder.
 *
 * @throws NijimiError `unsupported` for a checkpoint that no pipeline of diffusers holds
 */
export async function toPipeline(checkpoint: LoadedCheckpoint): Promise<SavedPipeline> {
  const known = PIPELINES[checkpoint.family];
  const className = checkpoint.pipeline ?? pipelineFor(checkpoint);
  const components: Record<string, SavedComponent | null> = {};
  for (const name of checkpoint.pipeline === undefined ? (known?.absent ?? []) : [])
    components[name] = null;
  for (const [name, component] of Object.entries(checkpoint.components)) {
    if (component.checked) refuseUnsuited(`${checkpoint.name}: ${name}`, component);
    components[name] = savedComponent(component);
  }
  for (const [name, config] of Object.entries(checkpoint.schedulers))
    components[name] = savedScheduler(config);
  Object.assign(components, await savedFiles(checkpoint));
  if (checkpoint.pipeline === undefined)
    Object.assign(components, await missingTokenizers(checkpoint));
  const options = checkpoint.pipeline === undefined ? known?.settings : checkpoint.settings;
  return { className, components, options };
}

function pipelineFor({ name, title, family, components }: LoadedCheckpoint): string {
  const known = PIPELINES[family];
  if (!known)
    throw new NijimiError(
      "unsupported",
      `${name} is ${title}, which is no pipeline of diffusers. Accepted: ${Object.keys(PIPELINES).join(", ")}.`,
    );
  const variants = BY_CHANNELS[Number(components.unet?.config.in_channels)] ?? [];
  return variants.find(([from]) => from === known.className)?.[1] ?? known.className;
}

/**
 * Refuses a network that its class in diffusers or transformers cannot hold: there is no such class, a half is
 * not there, or it computes something that the class does not.
 */
export function refuseUnsuited(name: string, component: Component): void {
  const { className, config, checked } = component;
  const refuse = (reason: string) =>
    new NijimiError(
      "unsupported",
      `${name} cannot be a folder: ${reason}. Convert it to a file that ends in ".safetensors".`,
    );
  if (!checked) throw refuse(`diffusers and transformers have no class for ${className}`);
  const special = SPECIAL_CONFIG.find(([key, value]) => key in config && config[key] !== value);
  if (special)
    throw refuse(`${className} does not know ${special[0]} (${String(config[special[0]])})`);
  const { missing } = makeComponent(component);
  if (missing.length > 0) throw refuse(`it has no ${missing[0]}, which ${className} needs`);
}

/** Config keys of ours that diffusers and transformers do not know, with the values that they stand for there. */
const SPECIAL_CONFIG = [
  ["middle_norm", false],
  ["classifier", "token"],
  ["representation_size", undefined],
] as const;

/** A network with the library that its class is in. */
export function savedComponent({ className, config, entries }: Component): SavedComponent {
  const { _class_name: _, _diffusers_version: __, architectures: ___, ...own } = config;
  return { library: libraryOf(className), className, config: own, tensors: entries };
}

function libraryOf(className: string): string {
  if (className === "StableDiffusionSafetyChecker") return "stable_diffusion";
  if (className === "LDMBertModel") return "latent_diffusion";
  return /^(CLIP|T5|ViT|DPT)/.test(className) ? "transformers" : "diffusers";
}

function savedScheduler(config: JsonObject): SavedComponent {
  const { _class_name: className, _diffusers_version: _, ...own } = config;
  // An architecture.json may leave out what it is a config of.
  return {
    library: "diffusers",
    className: typeof className === "string" ? className : "DDIMScheduler",
    config: own,
  };
}

async function savedFiles({ files }: LoadedCheckpoint): Promise<Record<string, SavedComponent>> {
  const saved: Record<string, SavedComponent> = {};
  for (const [name, { folder, className, library }] of Object.entries(files))
    saved[name] = { library, className, files: await readFiles(folder) };
  return saved;
}

async function readFiles(folder: Folder): Promise<Record<string, string>> {
  const contents: Record<string, string> = {};
  for (const file of (await folder.list()) ?? USUAL_FILES) {
    const source = await folder.open(file);
    if (!source) continue;
    contents[file] = await readText(source);
    await source.close();
  }
  return contents;
}

/** CLIP's tokenizer for every text encoder with CLIP's vocabulary. */
async function missingTokenizers({
  components,
  family,
}: LoadedCheckpoint): Promise<Record<string, SavedComponent | null>> {
  const saved: Record<string, SavedComponent | null> = {};
  for (const [encoder, tokenizer] of [
    ["text_encoder", "tokenizer"],
    ["text_encoder_2", "tokenizer_2"],
  ]) {
    const component = components[encoder];
    if (!component) continue;
    const isOpenClip =
      encoder === "text_encoder_2" ||
      family.startsWith("stable-diffusion-2") ||
      family.endsWith("upscaler");
    saved[tokenizer] =
      component.config.vocab_size === CLIP_VOCABULARY_SIZE
        ? {
            library: "transformers",
            className: "CLIPTokenizer",
            files: await clipTokenizerFiles(isOpenClip ? "!" : "<|endoftext|>"),
          }
        : null;
  }
  return saved;
}
