/**
 * Stable Diffusion 1.5's U-Net in a browser's worker: makes quantised random weights, a session of them, and runs it.
 * Nothing but the values differs from what `loadPipeline(file, { precision })` does with a checkpoint.
 */
import { type Entry, entryOf } from "nijimi/checkpoints";
import { UNET_2D_CONDITION_VARIANTS, unet2dCondition } from "nijimi/models";
import { snakeCase } from "nijimi/nn";
import { NO_ADAPTERS } from "nijimi/pipelines";
import type { Device } from "nijimi/runtime";
import { float32, sizeOf, tensor, type Tensor, torchGenerator } from "nijimi/tensor";
import { storedShapes, withFloats } from "../../nijimi/src/checkpoints/quantized/entries.ts";
import { formOf, type QuantizedPrecision } from "../../nijimi/src/checkpoints/quantized/policy.ts";
import { unetNetwork } from "../../nijimi/src/pipelines/networks/unet.ts";

/** What the page asks for, as its address says it. */
export interface Setup {
  readonly device: Device;
  readonly precision: QuantizedPrecision;
  /** Side of the latents; the picture's is eight times as much. */
  readonly size: string;
  readonly runs: string;
}

/** Seconds of each part; the spread of the result says that it is one. */
export interface Measured {
  readonly parameters: number;
  /** Bytes of the weights. */
  readonly bytes: number;
  /** Making the session and the first run. */
  readonly first: number;
  readonly runs: readonly number[];
  readonly isFinite: boolean;
}

const { sd1 } = UNET_2D_CONDITION_VARIANTS;
const noise = torchGenerator(0).randn([1 << 16]).data;
const bits = new Uint8Array(1 << 20);
for (let i = 0; i < bits.length; i += 1 << 16)
  crypto.getRandomValues(bits.subarray(i, i + (1 << 16)));

async function measure({ device, precision, size, runs }: Setup): Promise<Measured> {
  const { parameters } = unet2dCondition(sd1);
  let bytes = 0;
  const entries: Record<string, Entry> = {};
  for (const [name, { shape }] of Object.entries(parameters)) {
    const form = formOf("UNet2DConditionModel", name, shape, precision);
    const fanIn = sizeOf(shape) / shape[0];
    if (form === undefined) {
      const isGain = shape.length === 1 && name.endsWith("weight");
      entries[name] = entryOf(
        filled(shape, shape.length > 1 ? fanIn ** -0.5 : 0.02, isGain ? 1 : 0),
      );
      bytes += 4 * sizeOf(shape);
      continue;
    }
    const { values, scale } = storedShapes(form, shape);
    // Whole numbers of b bits are spread over 2^b / √12.
    const spread = (form.form === "blocks" ? 2 ** form.bits : 256) / 12 ** 0.5;
    entries[name] = withFloats(shape, {
      form,
      values: { ...values, read: async () => integers(values.dtype as "int8", values.shape) },
      scale: { ...scale, read: async () => constant(scale.shape, fanIn ** -0.5 / spread) },
    });
    bytes += sizeOf(values.shape) + 4 * sizeOf(scale.shape);
  }
  const config = Object.fromEntries(
    Object.entries(sd1).map(([key, value]) => [snakeCase(key), value]),
  );
  const network = unetNetwork({ className: "UNet2DConditionModel", config, entries } as never, {
    device,
  });
  const side = Number(size);
  const call = {
    sample: filled([1, 4, side, side], 1, 0),
    timestep: 500,
    context: filled([1, 77, 768], 1, 0),
  };
  const times: number[] = [];
  let result: Tensor<"float32"> | undefined;
  for (let run = 0; run <= Number(runs); run++) {
    const start = performance.now();
    result = await network.run(call, NO_ADAPTERS);
    times.push((performance.now() - start) / 1000);
  }
  const [first, ...others] = times;
  const count = Object.values(parameters).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const isFinite = result?.data.every(Number.isFinite) === true;
  return { parameters: count, bytes, first, runs: others, isFinite };
}

function filled(shape: readonly number[], scale: number, offset: number): Tensor<"float32"> {
  const data = new Float32Array(sizeOf(shape));
  for (let i = 0; i < data.length; i++) data[i] = offset + scale * noise[i % noise.length];
  return tensor("float32", shape, data);
}

function constant(shape: readonly number[], value: number): Tensor<"float32"> {
  return { ...float32([0], []), shape, data: new Float32Array(sizeOf(shape)).fill(value) };
}

function integers(dtype: "int8" | "uint8", shape: readonly number[]): Tensor {
  const data = new Uint8Array(sizeOf(shape));
  for (let at = 0; at < data.length; at += bits.length)
    data.set(bits.subarray(0, Math.min(bits.length, data.length - at)), at);
  return tensor(dtype, shape, (dtype === "int8" ? new Int8Array(data.buffer) : data) as never);
}

addEventListener("message", ({ data }: MessageEvent<Setup>) => {
  measure(data).then(
    (measured) => postMessage(measured),
    (error: unknown) =>
      postMessage({ error: error instanceof Error ? error.message : String(error) }),
  );
});
