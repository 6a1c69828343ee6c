/**
 * Stable Diffusion 1.5 with random weights of 16 bits as a diffusers folder that is nowhere: what is read is made when
 * it is read, so that a page can load two gigabytes that nobody stored.
 */
import { type ByteSource, bytesSource, type Folder } from "nijimi/checkpoints";
import { cast, float32, sizeOf, torchGenerator } from "nijimi/tensor";
import {
  distributionOf,
  MODEL_INDEX,
  type NetworkFolder,
  SCHEDULER,
  textEncoderFolder,
  unetFolder,
  vaeFolder,
} from "../lib/sd15.ts";

/** The folder; `loadPipeline` takes it. */
export function randomFolder(): Folder {
  const files: Readonly<Record<string, () => ByteSource>> = {
    "model_index.json": () => jsonSource(MODEL_INDEX),
    "scheduler/scheduler_config.json": () => jsonSource(SCHEDULER),
    ...networkFiles("unet", unetFolder()),
    ...networkFiles("vae", vaeFolder()),
    ...networkFiles("text_encoder", textEncoderFolder()),
  };
  return {
    name: "stable-diffusion-1.5-random",
    open: async (path) => files[path]?.(),
    list: async () => Object.keys(files),
  };
}

function networkFiles(folder: string, { config, weights, parameters }: NetworkFolder) {
  return {
    [`${folder}/config.json`]: () => jsonSource(config),
    [`${folder}/${weights}`]: () => randomSource(parameters),
  };
}

function jsonSource(value: object): ByteSource {
  return bytesSource(new TextEncoder().encode(JSON.stringify(value)));
}

/** A safetensors file of halves. */
function randomSource(parameters: NetworkFolder["parameters"]): ByteSource {
  const header: Record<string, object> = {};
  const places: { readonly end: number; readonly block: Uint8Array }[] = [];
  let end = 0;
  for (const [name, { shape }] of Object.entries(parameters)) {
    const start = end;
    end += 2 * sizeOf(shape);
    header[name] = { dtype: "F16", shape, data_offsets: [start, end] };
    const { mean, deviation } = distributionOf(name, shape);
    places.push({ end, block: halves(mean, deviation) });
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

/** Bytes of mean + deviation · noise in 16 bits. */
function halves(mean: number, deviation: number): Uint8Array {
  const key = `${mean} ${deviation}`;
  let block = blocks.get(key);
  if (block === undefined) {
    const values = noise.map((value) => mean + deviation * value);
    const { data } = cast(float32([values.length], values), "float16");
    block = new Uint8Array((data as Uint16Array).buffer);
    blocks.set(key, block);
  }
  return block;
}
