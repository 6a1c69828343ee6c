/** Stable Diffusion 1.5 at full size with random weights, as a diffusers folder: speed does not depend on the values. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Entry, saveSafetensors } from "nijimi/checkpoints";
import {
  AUTOENCODER_KL_VARIANTS,
  autoencoderKl,
  CLIP_TEXT_VARIANTS,
  clipText,
  UNET_2D_CONDITION_VARIANTS,
  unet2dCondition,
} from "nijimi/models";
import { type ParameterSpec, snakeCase } from "nijimi/nn";
import { float32, sizeOf, torchGenerator } from "nijimi/tensor";

const SCHEDULER = {
  _class_name: "DDIMScheduler",
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  clip_sample: false,
  set_alpha_to_one: false,
  steps_offset: 1,
};

/** Writes the folder once and returns its path. 4.3 GB. */
export async function randomStableDiffusion(folder: string): Promise<string> {
  const index = join(folder, "model_index.json");
  if (existsSync(index)) return folder;
  const { sd1: unet } = UNET_2D_CONDITION_VARIANTS;
  const { sd: vae } = AUTOENCODER_KL_VARIANTS;
  const text = CLIP_TEXT_VARIANTS["openai-vit-l"];
  const { whole } = autoencoderKl(vae);
  const parts = {
    unet: ["UNet2DConditionModel", unet2dCondition(unet).parameters, unet],
    vae: ["AutoencoderKL", whole.parameters, vae],
    text_encoder: ["CLIPTextModel", clipText(text).parameters, text],
  } as const;
  for (const [name, [className, parameters, config]] of Object.entries(parts))
    await writeNetwork(join(folder, name), className, parameters, config);
  mkdirSync(join(folder, "scheduler"), { recursive: true });
  writeFileSync(join(folder, "scheduler", "scheduler_config.json"), JSON.stringify(SCHEDULER));
  writeFileSync(
    index,
    JSON.stringify({
      _class_name: "StableDiffusionPipeline",
      ...Object.fromEntries(
        Object.entries(parts).map(([name, [className]]) => [
          name,
          [name === "text_encoder" ? "transformers" : "diffusers", className],
        ]),
      ),
      scheduler: ["diffusers", "DDIMScheduler"],
    }),
  );
  return folder;
}

/** Writes Stable Diffusion's autoencoder once and returns its folder. 335 MB. */
export async function randomAutoencoder(folder: string): Promise<string> {
  if (existsSync(join(folder, "diffusion_pytorch_model.safetensors"))) return folder;
  const { sd: vae } = AUTOENCODER_KL_VARIANTS;
  await writeNetwork(folder, "AutoencoderKL", autoencoderKl(vae).whole.parameters, vae);
  return folder;
}

/** Config and weights of one network, as diffusers or transformers name them. */
async function writeNetwork(
  folder: string,
  className: string,
  parameters: Readonly<Record<string, ParameterSpec>>,
  config: object,
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const isText = className.startsWith("CLIPText");
  const json = Object.entries({ ...config }).map(([key, value]) => [snakeCase(key), value]);
  const head = isText ? { architectures: [className] } : { _class_name: className };
  writeFileSync(
    join(folder, "config.json"),
    JSON.stringify({ ...head, ...Object.fromEntries(json) }),
  );
  const file = isText ? "model" : "diffusion_pytorch_model";
  await saveSafetensors(join(folder, `${file}.safetensors`), randomEntries(parameters));
}

/** One block of numbers, used again and again, scaled so that activations keep their size. */
function randomEntries(parameters: Readonly<Record<string, ParameterSpec>>): Record<string, Entry> {
  const block = torchGenerator(0).randn([1 << 20]).data;
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { shape }]): [string, Entry] => {
      const size = sizeOf(shape);
      const fanIn = size / shape[0];
      const scale = shape.length > 1 ? fanIn ** -0.5 : 0.02;
      const offset = name.endsWith("weight") && shape.length === 1 ? 1 : 0;
      const read = async () => {
        const data = new Float32Array(size);
        for (let i = 0; i < size; i++) data[i] = offset + scale * block[i % block.length];
        return float32(shape, data);
      };
      return [name, { dtype: "float32", shape, read }];
    }),
  );
}
