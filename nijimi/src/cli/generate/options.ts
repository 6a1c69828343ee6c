/** The options of `nijimi generate`, under the names that users of diffusers and the A1111 web UI know. */
import { IMAGE_FORMATS } from "../../images/probe.ts";
import { BLENDS } from "../../pipelines/conditioning/blend.ts";
import { HIRES_UPSCALERS } from "../../pipelines/hires-fix.ts";
import { SEAMLESS_AXES } from "../../pipelines/hooks/seamless.ts";
import { PRECISIONS } from "../../pipelines/networks/weights.ts";
import { type PresetName, PRESETS } from "../../pipelines/presets.ts";
import { EMPHASIS_MODES } from "../../text/prompt/emphasis.ts";
import { PROMPT_GRAMMARS } from "../../text/prompt/plan.ts";
import type { Options } from "../options.ts";

export const OPTIONS = {
  prompt: {
    type: "argument",
    optional: true,
    description: "What to draw; - reads it from standard input",
  },
  promptFile: { type: "string", hint: "file", description: "Read the prompt from a file" },
  negativePrompt: { type: "string", alias: "n", description: "What to keep away from" },
  prompt2: { type: "string", description: "Prompt of SDXL's second text encoder" },
  negativePrompt2: { type: "string", description: "Negative prompt of SDXL's second text encoder" },
  interpolateTo: {
    type: "list",
    hint: "prompt",
    description: "Go on to this prompt, in as many pictures as --frames says",
  },
  frames: { type: "number", integer: true, min: 2, description: "Pictures on the way (8)" },
  interpolation: {
    type: "choice",
    choices: BLENDS,
    description: "Way between prompts: along the arc or the line (slerp)",
  },
  model: {
    type: "string",
    alias: "m",
    hint: "path",
    description: "File, folder, URL, or a name in the models folder (emoji, which comes along)",
  },
  variant: { type: "string", description: "Weights of this variant in a folder, such as fp16" },
  vae: { type: "string", hint: "path", description: "Another autoencoder" },
  refiner: { type: "string", hint: "path", description: "SDXL's refiner, which finishes pictures" },
  refinerStart: {
    type: "number",
    min: 0,
    max: 1,
    description: "Share of the way after which it goes on (0.8)",
  },
  tokenizer: {
    type: "string",
    hint: "folder",
    description: "Tokenizer of a single file with a vocabulary of its own",
  },
  lora: { type: "list", hint: "path:0.8", description: "LoRA with its strength" },
  embedding: { type: "list", hint: "word=path", description: "Word of textual inversion" },
  width: { type: "number", alias: "W", integer: true, min: 8, description: "Pixels across" },
  height: { type: "number", alias: "H", integer: true, min: 8, description: "Pixels down" },
  steps: {
    type: "number",
    alias: "s",
    integer: true,
    min: 1,
    description: "Sampling steps (25; emoji 20)",
  },
  sampler: { type: "string", description: "Sampler by any of its names, such as DPM++ 2M Karras" },
  schedule: { type: "string", description: "Spacing of the noise levels, such as karras" },
  guidanceScale: {
    type: "number",
    alias: "g",
    description: "How strongly the prompt guides (7.5; SDXL 5; emoji 3); 1 is not at all",
  },
  guidanceRescale: {
    type: "number",
    min: 0,
    max: 1,
    description: "Keep guided pictures from over-exposure",
  },
  timesteps: { type: "string", hint: "999,749,…", description: "Timesteps to visit, for --steps" },
  sigmas: { type: "string", hint: "14.6,3,…", description: "Noise levels to visit, for --steps" },
  eta: { type: "number", min: 0, description: "Noise that DDIM adds at every step" },
  clipSkip: {
    type: "number",
    integer: true,
    min: 1,
    description: "Layer of the text encoder: 1 the last, 2 the one before",
  },
  grammar: {
    type: "choice",
    choices: PROMPT_GRAMMARS,
    description: "How the prompt is read (a1111)",
  },
  emphasis: { type: "choice", choices: EMPHASIS_MODES, description: "What (word:1.3) does" },
  seed: { type: "string", description: "Seed of the first picture; others count up" },
  count: { type: "number", alias: "c", integer: true, min: 1, description: "Pictures (1)" },
  batchSize: {
    type: "number",
    integer: true,
    min: 1,
    default: 1,
    description: "Pictures made at the same time",
  },
  variationSeed: { type: "string", description: "Seed of a noise to mix in" },
  variationStrength: { type: "number", min: 0, max: 1, description: "How much of it (0.1)" },
  noise: {
    type: "choice",
    choices: ["cpu", "nv"],
    description: "Whose numbers a seed gives: torch on the CPU, or NVIDIA's GPUs",
  },
  image: { type: "string", alias: "i", hint: "file", description: "Begin with this picture" },
  mask: {
    type: "string",
    hint: "file",
    description: "Paint only where this picture is white (with --image)",
  },
  strength: {
    type: "number",
    min: 0,
    max: 1,
    description: "How much of the picture is made anew (0.8; with a mask 1)",
  },
  noiseLevel: {
    type: "number",
    integer: true,
    min: 0,
    description: "Upscalers: noise that --image gets first (20)",
  },
  imageGuidanceScale: {
    type: "number",
    description: "Checkpoints that edit by instruction: how strongly --image is kept to (1.5)",
  },
  depth: {
    type: "string",
    hint: "file",
    description: "Checkpoints that see depth: depth of --image, near is white",
  },
  extend: {
    type: "string",
    hint: "right=256",
    description: "Continue --image beyond its edges: left, right, top, bottom, in pixels",
  },
  hiresScale: {
    type: "number",
    min: 1,
    max: 8,
    description: "Second, larger pass: how much larger",
  },
  hiresStrength: {
    type: "number",
    min: 0,
    max: 1,
    description: "How much the second pass makes anew (0.7)",
  },
  hiresSteps: { type: "number", integer: true, min: 1, description: "Steps of the second pass" },
  hiresUpscaler: {
    type: "choice",
    choices: HIRES_UPSCALERS,
    description: "How the first picture is enlarged (latent)",
  },
  preset: {
    type: "choice",
    choices: Object.keys(PRESETS) as PresetName[],
    description: "Settings for a distilled checkpoint; other options change them",
  },
  seamless: {
    type: "choice",
    choices: SEAMLESS_AXES,
    description: "Make pictures that continue when laid side by side",
  },
  controlNet: { type: "list", hint: "path:0.8", description: "ControlNet with its strength" },
  controlImage: {
    type: "list",
    hint: "file",
    description: "What the ControlNet looks at; one for each",
  },
  controlScale: {
    type: "number",
    description: "Strength of those that have none of their own (1)",
  },
  controlStart: { type: "number", min: 0, max: 1, description: "Share of the steps it begins at" },
  controlEnd: { type: "number", min: 0, max: 1, description: "Share of the steps it ends at" },
  guessMode: { type: "boolean", description: "Guide by the ControlNet's picture alone" },
  ipAdapter: {
    type: "list",
    hint: "path:0.6",
    description: "IP-Adapter with its strength: pictures as a part of the prompt",
  },
  ipAdapterImage: {
    type: "list",
    hint: "file,file",
    description: "What the IP-Adapter sees; one picture or several for each",
  },
  imageEncoder: {
    type: "string",
    hint: "path",
    description: "CLIP's image tower for IP-Adapters (the checkpoint's)",
  },
  t2iAdapter: { type: "list", hint: "path:0.8", description: "T2I-Adapter with its strength" },
  t2iAdapterImage: {
    type: "list",
    hint: "file",
    description: "What the T2I-Adapter looks at; one for each",
  },
  t2iAdapterEnd: {
    type: "number",
    min: 0,
    max: 1,
    description: "Share of the steps T2I-Adapters end at (1)",
  },
  freeu: {
    type: "string",
    hint: "s1=0.9,s2=0.2,b1=1.4,b2=1.6",
    description: "FreeU: less of skip connections (s), more of the backbone (b)",
  },
  originalSize: { type: "string", hint: "1024x1024", description: "SDXL: size to look like" },
  cropTopLeft: { type: "string", hint: "0,0", description: "SDXL: crop to look like" },
  targetSize: { type: "string", hint: "1024x1024", description: "SDXL: size to look right at" },
  negativeOriginalSize: {
    type: "string",
    hint: "512x512",
    description: "SDXL: size not to look like",
  },
  negativeCropTopLeft: { type: "string", hint: "0,0", description: "SDXL: crop not to look like" },
  negativeTargetSize: {
    type: "string",
    hint: "1024x1024",
    description: "SDXL: size of the negative prompt",
  },
  aestheticScore: { type: "number", description: "SDXL's refiner: score to reach (6)" },
  negativeAestheticScore: { type: "number", description: "SDXL's refiner: score to avoid (2.5)" },
  safetyChecker: {
    type: "string",
    hint: "path",
    description: 'Have a safety checker report what it flags; "own" is the checkpoint\'s',
  },
  grid: {
    type: "string",
    hint: "axes",
    description: 'Every combination, as one picture too: "steps=10,20;sampler=Euler,DDIM"',
  },
  recipe: {
    type: "string",
    alias: "r",
    hint: "file",
    description: "Make the picture in this file again; other options change it",
  },
  output: {
    type: "string",
    alias: "o",
    hint: "path",
    description: "File, or folder for several pictures",
  },
  format: { type: "choice", choices: IMAGE_FORMATS, default: "png", description: "Of the files" },
  preview: { type: "string", hint: "file", description: "Write a preview here after every step" },
  previewDecoder: { type: "string", hint: "path", description: "TAESD for better previews" },
  precision: {
    type: "choice",
    choices: PRECISIONS,
    description: "How weights are held and multiplied; quantised models are made once and kept",
  },
  vaeTile: {
    type: "number",
    integer: true,
    min: 0,
    description: "Side of the tiles, in latents, that pictures are decoded in; 0 is whole pictures",
  },
  lowMemory: {
    type: "boolean",
    description: "Give networks back as soon as a picture does not need them any more",
  },
  device: { type: "string", description: "Device; see `nijimi devices`" },
  threads: { type: "number", integer: true, min: 1, description: "Threads of the networks" },
  cache: {
    type: "boolean",
    default: true,
    description: "Keep optimised networks for a fast start",
  },
  dryRun: { type: "boolean", description: "Check everything, make nothing, print the settings" },
} as const satisfies Options;
