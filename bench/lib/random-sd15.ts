/** Stable Diffusion 1.5 at full size with random weights, as a diffusers folder: speed does not depend on the values. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Entry, saveSafetensors } from "nijimi/checkpoints";
import { float32, sizeOf, torchGenerator } from "nijimi/tensor";
import {
  distributionOf,
  MODEL_INDEX,
  type NetworkFolder,
  SCHEDULER,
  textEncoderFolder,
  unetFolder,
  vaeFolder,
} from "./sd15.ts";

/** Writes the folder once and returns its path. 4.3 GB. */
export async function randomStableDiffusion(folder: string): Promise<string> {
  const index = join(folder, "model_index.json");
  if (existsSync(index)) return folder;
  await writeNetwork(join(folder, "unet"), unetFolder());
  await writeNetwork(join(folder, "vae"), vaeFolder());
  await writeNetwork(join(folder, "text_encoder"), textEncoderFolder());
  mkdirSync(join(folder, "scheduler"), { recursive: true });
  writeFileSync(join(folder, "scheduler", "scheduler_config.json"), JSON.stringify(SCHEDULER));
  writeFileSync(index, JSON.stringify(MODEL_INDEX));
  return folder;
}

/** Writes Stable Diffusion's autoencoder once and returns its folder. 335 MB. */
export async function randomAutoencoder(folder: string): Promise<string> {
  const network = vaeFolder();
  if (!existsSync(join(folder, network.weights))) await writeNetwork(folder, network);
  return folder;
}

async function writeNetwork(
  folder: string,
  { config, weights, parameters }: NetworkFolder,
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  await saveSafetensors(join(folder, weights), randomEntries(parameters));
}

/** One block of numbers, used again and again. */
function randomEntries(parameters: NetworkFolder["parameters"]): Record<string, Entry> {
  const block = torchGenerator(0).randn([1 << 20]).data;
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { shape }]): [string, Entry] => {
      const { mean, deviation } = distributionOf(name, shape);
      const read = async () => {
        const data = new Float32Array(sizeOf(shape));
        for (let i = 0; i < data.length; i++) data[i] = mean + deviation * block[i % block.length];
        return float32(shape, data);
      };
      return [name, { dtype: "float32", shape, read }];
    }),
  );
}
