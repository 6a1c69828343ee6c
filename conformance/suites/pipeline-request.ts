/** What a case of a pipeline asks of ours: the task, and the request with the case's own noise and pictures. */
import {
  baseAndRefiner,
  editImage,
  type GenerationEvent,
  type GenerationRequest,
  imageToImage,
  inpaint,
  type Pipeline,
  textToImage,
  upscale,
} from "nijimi/pipelines";
import { float32, type Tensor, transpose } from "nijimi/tensor";
import type { Case } from "../case.ts";

type F32 = Tensor<"float32">;
type Config = Readonly<Record<string, unknown>>;
type Read = <T>(key: string) => T | undefined;
type Generation = AsyncGenerator<GenerationEvent, void>;

/** A task of ours over the case's pipelines; only two models' work needs the second. */
export type Generate = (pipeline: Pipeline, request: never, second?: Pipeline) => Generation;

const TASKS: readonly (readonly [pattern: RegExp, run: Generate])[] = [
  [/Upscale/, upscale as Generate],
  [/InstructPix2Pix/, editImage as Generate],
  [
    /\+StableDiffusion/,
    (base, request, refiner) => baseAndRefiner(base, refiner as Pipeline, request),
  ],
  [/(Img|Depth)2Img/, imageToImage as Generate],
  [/Inpaint/, inpaint as Generate],
];

/** Text to image unless the function says otherwise: some cases only say how their weights were merged. */
export function taskOf(name = ""): Generate {
  return TASKS.find(([pattern]) => pattern.test(name))?.[1] ?? (textToImage as Generate);
}

/** The request of a case: diffusers' `__call__` in our words. A LoRA is called `lora`, ControlNets `control`, or `control0` …. */
export function requestOf(c: Case): GenerationRequest {
  const config = c.json.config ?? {};
  const tensors = c.tensors();
  const read: Read = <T>(key: string) => (config[key] ?? undefined) as T | undefined;
  const seed = read<number | number[]>("seed");
  const clipSkip = read<number>("clip_skip");
  const control = controlOf(c, read);
  // Of a ControlNet's text to image the picture is the hint.
  const isHint = control !== undefined && tensors["in.control_image"] === undefined;
  const hasPicture = !isHint || /Img2Img|Inpaint/.test(c.json.function ?? "");
  return defined({
    prompt: read<string>("prompt") ?? "",
    negativePrompt: read<string>("negative_prompt"),
    prompt2: read<string>("prompt_2"),
    negativePrompt2: read<string>("negative_prompt_2"),
    grammar: "plain",
    steps: read<number>("num_inference_steps"),
    timesteps: read<number[]>("timesteps"),
    originalSteps: read<number>("original_inference_steps"),
    sigmas: read<number[]>("sigmas"),
    guidanceScale: read<number>("guidance_scale"),
    guidanceRescale: read<number>("guidance_rescale"),
    imageGuidanceScale: read<number>("image_guidance_scale"),
    noiseLevel: read<number>("noise_level"),
    scheduler: read<Config>("scheduler"),
    eta: read<number>("eta"),
    clipSkip: clipSkip === undefined ? undefined : clipSkip + 1,
    count: read<number>("num_images_per_prompt"),
    width: read<number>("width"),
    height: read<number>("height"),
    strength: read<number>("strength"),
    denoisingStart: read<number>("denoising_start"),
    denoisingEnd: read<number>("denoising_end"),
    refinerStart: read<number>("denoising_end"),
    seed,
    seedPer: Array.isArray(seed) ? "image" : "batch",
    draws: seed === undefined ? recorded(tensors) : undefined,
    latents: tensors["in.latents"],
    image: hasPicture ? tensors["in.image"] : undefined,
    mask: tensors["in.mask_image"],
    depth: tensors["in.depth_map"],
    tiles: false,
    microConditioning: microConditioningOf(read),
    loras: lorasOf(c),
    control,
    adapters: adaptersOf(c, read),
    imagePrompts: imagePromptsOf(c, read),
    freeU: read<GenerationRequest["freeU"]>("freeu"),
  }) as unknown as GenerationRequest;
}

function microConditioningOf(read: Read) {
  const sizes = (prefix: string) =>
    defined({
      originalSize: read<[number, number]>(`${prefix}original_size`),
      cropTopLeft: read<[number, number]>(`${prefix}crops_coords_top_left`),
      targetSize: read<[number, number]>(`${prefix}target_size`),
      aestheticScore: read<number>(`${prefix}aesthetic_score`),
    });
  const negative = sizes("negative_");
  return { ...sizes(""), ...(Object.keys(negative).length > 0 && { negative }) };
}

function lorasOf(c: Case) {
  if (c.json["lora_file"] === undefined) return undefined;
  const isUnetOnly = /U-Net only/.test(c.json.function ?? "");
  return [
    { name: "lora", scale: Number(c.json["lora_scale"]), ...(isUnetOnly && { textScale: 0 }) },
  ];
}

/** One ControlNet beside the checkpoint, or those that the case lists. */
function controlOf(c: Case, read: Read) {
  if (c.json.function?.includes("ControlNet") !== true) return undefined;
  const tensors = c.tensors();
  const files = read<string[]>("controlnets");
  const nth = (key: string, i: number): number | undefined => {
    const value = read<number | number[]>(key);
    return Array.isArray(value) ? value[i] : value;
  };
  return (files ?? [undefined]).map((_, i) =>
    defined({
      name: files === undefined ? "control" : `control${i}`,
      image: tensors[`in.control_image${i}`] ?? tensors["in.control_image"] ?? tensors["in.image"],
      scale: nth("controlnet_conditioning_scale", i),
      start: nth("control_guidance_start", i),
      end: nth("control_guidance_end", i),
      guessMode: read<boolean>("guess_mode"),
    }),
  );
}

/** T2I-Adapters by their places in the case's list. */
function adaptersOf(c: Case, read: Read) {
  const tensors = c.tensors();
  return read<{ image: string; scale: number }[]>("adapters")?.map(({ image, scale }, i) => ({
    name: String(i),
    image: tensors[image],
    scale,
    end: read<number>("adapter_conditioning_factor") ?? 1,
  }));
}

/** IP-Adapters by their places in the case's list. */
function imagePromptsOf(c: Case, read: Read) {
  const tensors = c.tensors();
  return read<{ images: string[]; scale: number }[]>("ip_adapters")?.map(
    ({ images, scale }, i) => ({
      name: String(i),
      images: images.map((name) => tensors[name]),
      scale,
    }),
  );
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
      return float32(shape, found.data);
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
