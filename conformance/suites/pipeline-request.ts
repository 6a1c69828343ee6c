/** What a case of a pipeline asks of ours: the task, and the request with the case's own noise and pictures. */
import {
  type GenerationEvent,
  type GenerationRequest,
  imageToImage,
  inpaint,
  type Pipeline,
  textToImage,
} from "nijimi/pipelines";
import { float32, type Tensor, transpose } from "nijimi/tensor";
import type { Case } from "../case.ts";

type F32 = Tensor<"float32">;
type Config = Readonly<Record<string, unknown>>;
type Generate = (pipeline: Pipeline, request: never) => AsyncGenerator<GenerationEvent, void>;

const TASKS: readonly (readonly [pattern: RegExp, run: Generate])[] = [
  [/Img2Img/, imageToImage as Generate],
  [/Inpaint/, inpaint as Generate],
];

/** Text to image unless the function says otherwise: some cases only say how their weights were merged. */
export const taskOf = (name = ""): Generate =>
  TASKS.find(([pattern]) => pattern.test(name))?.[1] ?? (textToImage as Generate);

/** The request of a case. LoRA and ControlNet are called `lora` and `control`. */
export function requestOf(c: Case): GenerationRequest {
  const config = c.json.config ?? {};
  const tensors = c.tensors();
  const read = <T>(key: string): T | undefined => (config[key] ?? undefined) as T | undefined;
  const seed = read<number | number[]>("seed");
  const guess = read<boolean>("guess_mode");
  const isControl = c.json.function?.includes("ControlNet") === true;
  const clipSkip = read<number>("clip_skip");
  const negative = {
    originalSize: read<[number, number]>("negative_original_size"),
    cropTopLeft: read<[number, number]>("negative_crops_coords_top_left"),
    targetSize: read<[number, number]>("negative_target_size"),
  };
  const request = {
    prompt: read<string>("prompt") ?? "",
    negativePrompt: read<string>("negative_prompt"),
    prompt2: read<string>("prompt_2"),
    negativePrompt2: read<string>("negative_prompt_2"),
    grammar: "plain",
    steps: read<number>("num_inference_steps"),
    timesteps: read<number[]>("timesteps"),
    guidanceScale: read<number>("guidance_scale"),
    guidanceRescale: read<number>("guidance_rescale"),
    scheduler: read<Config>("scheduler"),
    eta: read<number>("eta"),
    clipSkip: clipSkip === undefined ? undefined : clipSkip + 1,
    count: read<number>("num_images_per_prompt"),
    width: read<number>("width"),
    height: read<number>("height"),
    strength: read<number>("strength"),
    seed,
    seedPer: Array.isArray(seed) ? "image" : "batch",
    draws: seed === undefined ? recorded(tensors) : undefined,
    latents: tensors["in.latents"],
    image: isControl ? undefined : tensors["in.image"],
    mask: tensors["in.mask_image"],
    tiles: false,
    microConditioning: {
      originalSize: read<[number, number]>("original_size"),
      cropTopLeft: read<[number, number]>("crops_coords_top_left"),
      targetSize: read<[number, number]>("target_size"),
      ...(negative.originalSize && negative.targetSize && { negative }),
    },
    ...(c.json["lora_file"] !== undefined && {
      loras: [
        {
          name: "lora",
          scale: Number(c.json["lora_scale"]),
          ...(/U-Net only/.test(c.json.function ?? "") && { textScale: 0 }),
        },
      ],
    }),
    ...(isControl && {
      control: [
        {
          name: "control",
          image: tensors["in.image"],
          scale: read<number>("controlnet_conditioning_scale"),
          start: read<number>("control_guidance_start"),
          end: read<number>("control_guidance_end"),
          guessMode: guess,
        },
      ],
    }),
  };
  return defined(request) as unknown as GenerationRequest;
}

/** Without the undefined, so that defaults apply. */
function defined(value: Config): Config {
  return Object.fromEntries(Object.entries(value).filter(([, own]) => own !== undefined));
}

/** The case's noise in order of use. */
function recorded(tensors: Readonly<Record<string, Tensor>>) {
  let next = 0;
  return {
    randn(shape: readonly number[]): F32 {
      const found = tensors[`noise.${next++}`] as F32 | undefined;
      if (!found || String(found.shape) !== String(shape))
        throw new Error(`noise.${next - 1} is [${found?.shape}]; [${shape}] was asked for`);
      return found;
    },
  };
}

/** Decoded pixels of all images in [0, 1], as the reference has them: [N, H, W, 3]. */
export function pictureOf(images: readonly { readonly pixels: F32 }[]): F32 {
  const pixels = float32(
    [images.length, ...images[0].pixels.shape.slice(1)],
    images.flatMap((image) => [...image.pixels.data]),
  );
  const unit = pixels.data.map((value) => Math.min(1, Math.max(0, value / 2 + 0.5)));
  return transpose({ ...pixels, data: unit }, [0, 2, 3, 1]);
}
