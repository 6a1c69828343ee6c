/** The table of commands. Each is imported when it is run or its help is asked for, not before. */
import type { Command } from "./command.ts";

export interface CommandEntry {
  /** As help lists it; the same as the command's own description. */
  readonly description: string;
  load(): Promise<{ readonly command: Command }>;
}

/** Commands by name, in the order of help. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  generate: {
    description: "Make pictures from a prompt with Stable Diffusion 1, 2 or XL",
    load: async () => erase(await import("./commands/generate.ts")),
  },
  inspect: {
    description: "Say what a checkpoint, adapter or embedding is and what it holds",
    load: async () => erase(await import("./commands/inspect.ts")),
  },
  convert: {
    description: "Convert a checkpoint: to a diffusers folder, a single file, or safetensors",
    load: async () => erase(await import("./commands/convert.ts")),
  },
  quantize: {
    description: "Make a model's weights small: 8 or 4 bits, for speed or for little memory",
    load: async () => erase(await import("./commands/quantize.ts")),
  },
  train: {
    description: "Train a model by a recipe, or go on with a training",
    load: async () => erase(await import("./commands/train.ts")),
  },
  eval: {
    description: "Measure pictures: FID, KID, precision and recall, CLIP score, LPIPS and others",
    load: async () => erase(await import("./commands/eval.ts")),
  },
  models: {
    description: "List, fetch and check weights that are known by name",
    load: async () => erase(await import("./commands/models.ts")),
  },
  devices: {
    description: "List the devices that networks can run on",
    load: async () => erase(await import("./commands/devices.ts")),
  },
  cache: {
    description: "Show or clear what can be made again",
    load: async () => erase(await import("./commands/cache.ts")),
  },
  version: {
    description: "Print the versions of nijimi and Node",
    load: async () => erase(await import("./commands/version.ts")),
  },
};

/** Forgets the types of a command's options: its `run` is called with the values read by them. */
function erase(module: { readonly command: unknown }): { readonly command: Command } {
  return module as { readonly command: Command };
}
