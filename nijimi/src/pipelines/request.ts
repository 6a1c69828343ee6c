/** What the pipelines are asked for. Words are diffusers', in camelCase. */
import type { JsonObject } from "../checkpoints/json.ts";
import type { Guidance } from "../guidance/types.ts";
import type { EmphasisMode } from "../text/prompt/emphasis.ts";
import type { PromptGrammar } from "../text/prompt/plan.ts";
import type { NormalStream } from "../tensor/random/streams.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { PromptBlend } from "./conditioning/blend.ts";
import type { TileOptions } from "./networks/tiles.ts";
import type { Picture } from "./pictures.ts";

type F32 = Tensor<"float32">;
type Seed = number | bigint;

/** A LoRA by its name in the pipeline. */
export interface LoraUse {
  readonly name: string;
  /** @default 1 */
  readonly scale?: number;
  /** For the text encoders. @default scale */
  readonly textScale?: number;
}

/** A ControlNet by its name in the pipeline. */
export interface ControlUse {
  readonly name: string;
  /** What it looks at, of the size of the result. */
  readonly image: Picture;
  /** @default 1 */
  readonly scale?: number;
  /** Share of the steps after which it begins. @default 0 */
  readonly start?: number;
  /** Share of the steps after which it ends. @default 1 */
  readonly end?: number;
  /** Guide by the picture alone: only the prompt's branch is controlled, deep states most. @default false */
  readonly guessMode?: boolean;
}

/** A T2I-Adapter by its name in the pipeline. */
export interface PictureAdapterUse {
  readonly name: string;
  /** What it looks at, of the size of the result. */
  readonly image: Picture;
  /** @default 1 */
  readonly scale?: number;
  /** Share of the steps after which it ends. @default 1 */
  readonly end?: number;
}

/** An IP-Adapter by its name in the pipeline: pictures as a part of the prompt. */
export interface ImagePromptUse {
  readonly name: string;
  /** One or several, of any size; the middle square is seen. */
  readonly images: readonly Picture[];
  /** @default 1 */
  readonly scale?: number;
}

/** Factors of FreeU (arXiv:2309.11497); 1 changes nothing. */
export interface FreeUOptions {
  /** Of the skip connections, for the deepest level going up and the one above. */
  readonly s1: number;
  readonly s2: number;
  /** Of the backbone. */
  readonly b1: number;
  readonly b2: number;
}

/** SDXL's sizes. */
export interface MicroConditioning {
  /** Height and width that the training picture had. @default the result's */
  readonly originalSize?: readonly [height: number, width: number];
  /** @default [0, 0] */
  readonly cropTopLeft?: readonly [top: number, left: number];
  /** @default the result's */
  readonly targetSize?: readonly [height: number, width: number];
  /** The refiner's. @default 6 */
  readonly aestheticScore?: number;
  /** What the negative prompt is told. @default the prompt's; the refiner's has no crop and a score of 2.5 */
  readonly negative?: Omit<MicroConditioning, "negative">;
}

/** What previews are made with, and how often. */
export interface PreviewOptions {
  /** Every so many steps. @default 1 */
  readonly every?: number;
}

/** What every task takes. */
export interface GenerationRequest {
  /** One for all images, or one each. */
  readonly prompt: string | readonly string[];
  /** @default none; for SDXL that is not the same as "" */
  readonly negativePrompt?: string | readonly string[];
  /** SDXL's second text encoder. @default the first's */
  readonly prompt2?: string;
  readonly negativePrompt2?: string;
  /** Conditions between the prompt's and another's. */
  readonly blend?: PromptBlend;
  /** `"plain"`: text as it is, cut at 77 tokens, as in diffusers. @default "a1111" */
  readonly grammar?: PromptGrammar;
  /** What `(word:1.3)` does. @default "original", for SDXL "no-norm" */
  readonly emphasis?: EmphasisMode;
  /** A1111's count: 1 is the last layer, 2 the one before. SDXL's does not change, but with the plain grammar. @default 1 */
  readonly clipSkip?: number;
  /** The same for the negative prompt. @default clipSkip; with the plain grammar 1, as in diffusers */
  readonly negativeClipSkip?: number;
  /** Images of each prompt. @default 1 */
  readonly count?: number;
  /** @default 25 */
  readonly steps?: number;
  /** uncond + s·(cond − uncond); 1 and less is no guidance. @default 7.5, for SDXL 5 */
  readonly guidanceScale?: number;
  /** φ of Lin et al. 2024 (arXiv:2305.08891). @default 0 */
  readonly guidanceRescale?: number;
  /** Another guidance in the place of the classifier-free one. */
  readonly guidance?: Guidance;
  /** Any name of a sampler, with or without a schedule. @default the checkpoint's scheduler */
  readonly sampler?: string;
  /** Any name of a schedule of noise levels. */
  readonly schedule?: string;
  /** A scheduler config of diffusers in the place of the checkpoint's. */
  readonly scheduler?: JsonObject;
  /** Timesteps to visit, in the place of `steps`, where the scheduler takes them. */
  readonly timesteps?: readonly number[];
  /** Noise levels to visit, in the place of `steps`, where the scheduler takes them. */
  readonly sigmas?: readonly number[];
  /** Steps of the schedule that LCM and TCD were distilled from. @default the checkpoint's */
  readonly originalSteps?: number;
  /** Share of the way at which another model has stopped: `image` is then its latents. @default 0 */
  readonly denoisingStart?: number;
  /** Share of the way at which to stop, so that another model goes on. @default 1 */
  readonly denoisingEnd?: number;
  /** Noise that DDIM and TCD add at every step. @default 0 */
  readonly eta?: number;
  /** One per image, or the first one's, which then counts up. @default a random one */
  readonly seed?: Seed | readonly Seed[];
  /** `"batch"`: one generator draws the whole batch, as diffusers does when it is given one. @default "image" */
  readonly seedPer?: "image" | "batch";
  /** Which numbers a seed gives: torch's on the CPU or on NVIDIA's GPUs. @default "cpu" */
  readonly seedSource?: "cpu" | "nv";
  /** Another noise mixed in, and how much of it. */
  readonly variation?: { readonly seed: Seed; readonly strength: number };
  /** All noise in order of use, in the place of seeds. */
  readonly draws?: NormalStream;
  /** Noise to start from, of unit variance, [N, C, h, w]. */
  readonly latents?: F32;
  readonly loras?: readonly LoraUse[];
  readonly control?: readonly ControlUse[];
  readonly adapters?: readonly PictureAdapterUse[];
  readonly imagePrompts?: readonly ImagePromptUse[];
  readonly freeU?: FreeUOptions;
  readonly microConditioning?: MicroConditioning;
  /** Encode and decode in tiles of latents, for large pictures. @default from 128 × 128 latents on */
  readonly tiles?: TileOptions | false;
  readonly preview?: PreviewOptions;
  /** Have the safety checker look at the pictures; they are reported, never changed. @default false */
  readonly checkSafety?: boolean;
  /** Most rows (images × branches) in one run of the network. @default all */
  readonly maxRows?: number;
}

/** Text to image. */
export interface TextToImageRequest extends GenerationRequest {
  /** @default the checkpoint's */
  readonly width?: number;
  /** @default the checkpoint's */
  readonly height?: number;
}

/** Image to image. */
export interface ImageToImageRequest extends GenerationRequest {
  /** Its size is that of the result. A tensor with as many channels as latents have is latents of the U-Net's scale. */
  readonly image: Picture;
  /** Share of the noise: 1 keeps nothing of the image. @default 0.8 */
  readonly strength?: number;
  /** How far away everything is, in any unit, larger is nearer (MiDaS): for U-Nets that see depth. */
  readonly depth?: Picture;
}

/** Image to a larger image. */
export interface UpscaleRequest extends GenerationRequest {
  /** The result is larger by the autoencoder's factor: 4 for Stable Diffusion's upscaler. */
  readonly image: Picture;
  /** Timestep whose noise the picture gets, against artefacts that it may have. @default 20 */
  readonly noiseLevel?: number;
}

/** Image and instruction to image. */
export interface EditRequest extends GenerationRequest {
  /** Its size is that of the result. */
  readonly image: Picture;
  /** How strongly the picture is kept to. @default 1.5 */
  readonly imageGuidanceScale?: number;
}

/** Inpainting. */
export interface InpaintRequest extends ImageToImageRequest {
  /** White (1) is repainted, black (0) is kept. */
  readonly mask: Picture;
}
