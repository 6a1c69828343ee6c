/**
 * Stable Diffusion 1.5 with random weights of 16 bits as a diffusers folder that is nowhere: what is read is made when
 * it is read, so that a page can load two gigabytes that nobody stored.
 */
import { type ByteSource, bytesSource, type Folder } from "nijimi/checkpoints";
import {
  AUTOENCODER_KL_VARIANTS,
  autoencoderKl,
  CLIP_TEXT_VARIANTS,
  clipText,
  UNET_2D_CONDITION_VARIANTS,
  unet2dCondition,
} from "nijimi/models";
import { type ParameterSpec, snakeCase } from "nijimi/nn";
import { cast, float32, sizeOf, torchGenerator } from "nijimi/tensor";

type Parameters = Readonly<Record<string, ParameterSpec>>;

const SCHEDULER = {
  _class_name: "DDIMScheduler",
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  clip_sample: false,
  set_alpha_to_one: false,
  steps_offset: 1,
};

/** The folder; `loadPipeline` takes it. */
export function randomFolder(): Folder {
  const { sd1: unet } = UNET_2D_CONDITION_VARIANTS;
  const { sd: vae } = AUTOENCODER_KL_VARIANTS;
  const text = CLIP_TEXT_VARIANTS["openai-vit-l"];
  const json = (value: object) => () =>
    bytesSource(new TextEncoder().encode(JSON.stringify(value)));
  const config = (head: object, own: object) =>
    json({
      ...head,
      ...Object.fromEntries(Object.entries(own).map(([key, value]) => [snakeCase(key), value])),
    });
  const weights = (parameters: Parameters) => () => randomSource(parameters);
  const files: Readonly<Record<string, () => ByteSource>> = {
    "model_index.json": json({
      _class_name: "StableDiffusionPipeline",
      unet: ["diffusers", "UNet2DConditionModel"],
      vae: ["diffusers", "AutoencoderKL"],
      text_encoder: ["transformers", "CLIPTextModel"],
      scheduler: ["diffusers", "DDIMScheduler"],
    }),
    "scheduler/scheduler_config.json": json(SCHEDULER),
    "unet/config.json": config({ _class_name: "UNet2DConditionModel" }, unet),
    "unet/diffusion_pytorch_model.safetensors": weights(unet2dCondition(unet).parameters),
    "vae/config.json": config({ _class_name: "AutoencoderKL" }, vae),
    "vae/diffusion_pytorch_model.safetensors": weights(autoencoderKl(vae).whole.parameters),
    "text_encoder/config.json": config({ architectures: ["CLIPTextModel"] }, text),
    "text_encoder/model.safetensors": weights(clipText(text).parameters),
  };
  return {
    name: "stable-diffusion-1.5-random",
    open: async (path) => files[path]?.(),
    list: async () => Object.keys(files),
  };
}

/** A safetensors file of halves, scaled so that activations keep their size. */
function randomSource(parameters: Parameters): ByteSource {
  const header: Record<string, object> = {};
  const places: { readonly end: number; readonly block: Uint8Array }[] = [];
  let end = 0;
  for (const [name, { shape }] of Object.entries(parameters)) {
    const start = end;
    end += 2 * sizeOf(shape);
    header[name] = { dtype: "F16", shape, data_offsets: [start, end] };
    const isGain = shape.length === 1 && name.endsWith("weight");
    const scale = shape.length > 1 ? (sizeOf(shape) / shape[0]) ** -0.5 : 0.02;
    places.push({ end, block: halves(scale, isGain ? 1 : 0) });
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(8 + text.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(text.length), true);
  head.set(text, 8);

  async function read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    bytes.set(head.subarray(offset, offset + length));
    for (let at = Math.max(offset, head.length); at < offset + length;) {
      const place = places.find((own) => at - head.length < own.end);
      if (place === undefined) break;
      const from = (at - head.length) % place.block.length;
      const count = Math.min(
        place.block.length - from,
        offset + length - at,
        head.length + place.end - at,
      );
      bytes.set(place.block.subarray(from, from + count), at - offset);
      at += count;
    }
    return bytes;
  }
  return { name: "random weights", size: head.length + end, read, close: async () => {} };
}

const noise = torchGenerator(0).randn([1 << 16]).data;
const blocks = new Map<string, Uint8Array>();

/** Bytes of offset + scale · noise in 16 bits. */
function halves(scale: number, offset: number): Uint8Array {
  const key = `${scale} ${offset}`;
  let block = blocks.get(key);
  if (block === undefined) {
    const values = noise.map((value) => offset + scale * value);
    const { data } = cast(float32([values.length], values), "float16");
    block = new Uint8Array((data as Uint16Array).buffer);
    blocks.set(key, block);
  }
  return block;
}
