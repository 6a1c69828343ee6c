/**
 * `model_index.json`: which pipeline a diffusers folder is, and the class of each of its parts. Classes are
 * looked up in closed lists; nothing that a folder names is imported or run.
 */
import { NijimiError, unknownName } from "../../../errors.ts";
import { parseJsonObject, type JsonObject, type JsonValue } from "../../json.ts";
import { KNOWN_CLASSES } from "../parameters/by-class.ts";

/** A part of a pipeline. */
export interface Part {
  /** Also the name of its folder. */
  readonly name: string;
  readonly className: string;
  /** Python library of the class. */
  readonly library: string;
  readonly kind: "model" | "scheduler" | "tokenizer" | "processor";
}

/** See the file's header. */
export interface ModelIndex {
  /** Class of the pipeline in diffusers. */
  readonly pipeline: string;
  readonly parts: readonly Part[];
  /** What the file says beside the parts, e.g. `requires_safety_checker`. */
  readonly settings: JsonObject;
}

/** Pipelines whose parts this library has networks for. */
const PIPELINES = [
  "DDPMPipeline",
  "DDIMPipeline",
  "PNDMPipeline",
  "ScoreSdeVePipeline",
  "KarrasVePipeline",
  "ConsistencyModelPipeline",
  "DiTPipeline",
  "LDMPipeline",
  "LDMTextToImagePipeline",
  "LDMSuperResolutionPipeline",
  "VQDiffusionPipeline",
  "UnCLIPPipeline",
  "UnCLIPImageVariationPipeline",
  "StableUnCLIPPipeline",
  "StableUnCLIPImg2ImgPipeline",
  "IFPipeline",
  "IFSuperResolutionPipeline",
  "LatentConsistencyModelPipeline",
  "LatentConsistencyModelImg2ImgPipeline",
  ...[
    "",
    "Img2Img",
    "Inpaint",
    "InpaintPipelineLegacy",
    "Upscale",
    "Depth2Img",
    "InstructPix2Pix",
  ].map(
    (task) =>
      `StableDiffusion${task.replace(/Pipeline.*/, "")}Pipeline${task.endsWith("Legacy") ? "Legacy" : ""}`,
  ),
  ...[
    "ControlNet",
    "ControlNetImg2Img",
    "ControlNetInpaint",
    "Adapter",
    "LatentUpscale",
    "SAG",
    "PAG",
    "LDM3D",
  ].map((task) => `StableDiffusion${task}Pipeline`),
  ...[
    "",
    "Img2Img",
    "Inpaint",
    "InstructPix2Pix",
    "ControlNet",
    "ControlNetImg2Img",
    "ControlNetInpaint",
    "Adapter",
  ].map((task) => `StableDiffusionXL${task}Pipeline`),
];

/** Pipelines that are recognised and refused by name. */
const REFUSED: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/^StableDiffusion3/, "Stable Diffusion 3"],
  [/^Flux/, "FLUX"],
  [
    /^(PixArt|Sana|Lumina|Luma|HunyuanDiT|AuraFlow|HiDream|QwenImage|Chroma|CogView|OmniGen|ZImage)/,
    "a diffusion transformer",
  ],
  [
    /^(StableVideo|TextToVideo|VideoToVideo|AnimateDiff|CogVideo|HunyuanVideo|LTX|Mochi|Wan|Allegro|Cosmos|SkyReels|I2VGen|Latte|EasyAnimate)/,
    "a video model",
  ],
  [/^(AudioLDM|MusicLDM|StableAudio|DanceDiffusion|AudioDiffusion|Spectrogram)/, "an audio model"],
  [/^Kandinsky/, "Kandinsky"],
  [/^(StableCascade|Wuerstchen)/, "Stable Cascade / Würstchen"],
  [/^Shap/, "a 3D model"],
  [
    /^(Amused|Versatile|UniDiffuser|Marigold|LEdits|BlipDiffusion|GLIGEN|StableDiffusionGLIGEN)/,
    "a pipeline",
  ],
];

const LIBRARIES = [
  "diffusers",
  "transformers",
  "stable_diffusion",
  "latent_diffusion",
  "unclip",
  "deepfloyd_if",
  "vq_diffusion",
  "stable_diffusion_xl",
  "latent_consistency_models",
];

/** Networks that are read under their own names but not checked parameter by parameter. */
const OTHER_MODELS = [
  "StableDiffusionSafetyChecker",
  "IFSafetyChecker",
  "IFWatermarker",
  "LDMBertModel",
  "PriorTransformer",
  "Transformer2DModel",
  "DiTTransformer2DModel",
  "UnCLIPTextProjModel",
  "StableUnCLIPImageNormalizer",
  "LearnedClassifierFreeSamplingEmbeddings",
  "DPTForDepthEstimation",
  "T2IAdapter",
  "MultiAdapter",
  "ViTModel",
];

const PROCESSORS = [
  "CLIPImageProcessor",
  "CLIPFeatureExtractor",
  "DPTImageProcessor",
  "DPTFeatureExtractor",
  "ViTImageProcessor",
];
const TOKENIZERS = [
  "CLIPTokenizer",
  "CLIPTokenizerFast",
  "T5Tokenizer",
  "T5TokenizerFast",
  "BertTokenizer",
  "BertTokenizerFast",
];

/** Names that only components have. */
const COMPONENTS =
  /^(unet|vae|vqvae|scheduler|(text_encoder|tokenizer)(_\d)?|controlnet|safety_checker)$/;

/**
 * Reads a `model_index.json`.
 *
 * @param where the folder, for messages
 * @throws NijimiError `format`, `unsafe`, `unsupported` or `option`
 */
export function parseModelIndex(text: string, where: string): ModelIndex {
  const index = parseJsonObject(text, { nonFinite: true, name: `${where}/model_index.json` });
  const pipeline = pipelineOf(index._class_name, where);
  const parts: Part[] = [];
  const settings: JsonObject = Object.create(null) as JsonObject;
  for (const [name, value] of Object.entries(index)) {
    if (name.startsWith("_")) continue;
    if (!Array.isArray(value)) {
      if (value !== null && COMPONENTS.test(name))
        throw new NijimiError(
          "format",
          `${where}: component "${name}" must be [library, class]; got ${JSON.stringify(value)}.`,
        );
      settings[name] = value;
    } else if (value.some((item) => item !== null)) parts.push(partOf(name, value, where));
  }
  return { pipeline, parts, settings };
}

function pipelineOf(value: JsonValue | undefined, where: string): string {
  if (Array.isArray(value))
    throw new NijimiError(
      "unsafe",
      `${where} asks for the pipeline ${JSON.stringify(value)}, which is Python code of its own. Custom pipeline code is never run; use the folder's standard pipeline.`,
    );
  if (typeof value !== "string")
    throw new NijimiError(
      "format",
      `${where}/model_index.json must name its pipeline as "_class_name"; got ${JSON.stringify(value)}.`,
    );
  const refused = REFUSED.find(([pattern]) => pattern.test(value));
  if (refused)
    throw new NijimiError(
      "unsupported",
      `${where} is ${refused[1]} (${value}), which this library does not run.`,
    );
  if (!PIPELINES.includes(value)) throw unknownClass(where, "pipeline class", value, PIPELINES);
  return value;
}

/** The file is what is wrong, not an option of the caller's. */
function unknownClass(
  where: string,
  what: string,
  name: string,
  known: readonly string[],
): NijimiError {
  return new NijimiError("unsupported", `${where}: ${unknownName(what, name, known).message}`);
}

function partOf(name: string, value: readonly JsonValue[], where: string): Part {
  if (!/^[A-Za-z0-9_-]+$/.test(name))
    throw new NijimiError(
      "unsafe",
      `${where} has a component called ${JSON.stringify(name)}, which is not a plain folder name; it is not opened.`,
    );
  const [library, className] = value;
  if (value.length !== 2 || typeof library !== "string" || typeof className !== "string")
    throw new NijimiError(
      "format",
      `${where}: component "${name}" must be [library, class]; got ${JSON.stringify(value)}.`,
    );
  const kind = kindOf(className);
  if (kind === undefined || !LIBRARIES.includes(library))
    throw unknownClass(where, "model class", `${library}.${className}`, modelClasses());
  return { name, className, library, kind };
}

/** What a class is; undefined for those that are not known. */
export function kindOf(className: string): Part["kind"] | undefined {
  if (TOKENIZERS.includes(className)) return "tokenizer";
  if (PROCESSORS.includes(className)) return "processor";
  if (/^[A-Za-z0-9]+Scheduler$/.test(className)) return "scheduler";
  return modelClasses().includes(className) ? "model" : undefined;
}

function modelClasses(): string[] {
  return [...KNOWN_CLASSES, ...OTHER_MODELS];
}
