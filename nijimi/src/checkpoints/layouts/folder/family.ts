/** Which family a diffusers folder is of, told from its pipeline's class and its U-Net's config. */
import type { Component } from "../component.ts";

/** Id and title of a family. */
export interface FolderFamily {
  readonly family: string;
  readonly title: string;
}

/** What further input channels of a latent U-Net are for. */
export const LATENT_TASKS: Readonly<Record<number, string>> = {
  5: "depth-guided",
  8: "InstructPix2Pix",
  9: "inpainting",
};

/** The family of a folder's parts. */
export function folderFamily(
  pipeline: string | undefined,
  components: Readonly<Record<string, Component>>,
): FolderFamily {
  const [first] = Object.values(components);
  if (pipeline === undefined)
    return { family: first?.className ?? "scheduler", title: first?.className ?? "Scheduler" };
  const { unet } = components;
  if (!unet || !/^(StableDiffusion|LatentConsistency|StableUnCLIP)/.test(pipeline))
    return { family: kebab(pipeline), title: pipeline };
  const { family, title } = stableDiffusion(unet, components);
  const task = LATENT_TASKS[Number(unet.config.in_channels)];
  return { family, title: task === undefined ? title : `${title}, ${task}` };
}

function stableDiffusion(
  unet: Component,
  components: Readonly<Record<string, Component>>,
): FolderFamily {
  const { config } = unet;
  if (config.addition_embed_type === "text_time")
    return components.text_encoder
      ? { family: "sdxl", title: "Stable Diffusion XL" }
      : { family: "sdxl-refiner", title: "Stable Diffusion XL refiner" };
  if (config.in_channels === 7)
    return { family: "stable-diffusion-x4-upscaler", title: "Stable Diffusion x4 upscaler" };
  if (config.class_embed_type === "projection")
    return { family: "stable-diffusion-2-unclip", title: "Stable Diffusion 2.1 unCLIP" };
  return config.use_linear_projection === true
    ? { family: "stable-diffusion-2", title: "Stable Diffusion 2" }
    : { family: "stable-diffusion-1", title: "Stable Diffusion 1" };
}

function kebab(name: string): string {
  return name
    .replace(/Pipeline$/, "")
    .replace(/(?<=[a-z0-9])[A-Z]/g, "-$&")
    .toLowerCase();
}
