/**
 * All suites by kind, loaded when needed. One line per kind, sorted; each file exports its `suite`.
 */
import type { Suite } from "../case.ts";

export const suites: Readonly<Record<string, () => Promise<Suite>>> = {
  adapters: async () => (await import("./adapters.ts")).suite,
  adversarial: async () => (await import("./adversarial.ts")).suite,
  aesthetics: async () => (await import("./aesthetics.ts")).suite,
  autoencoders: async () => (await import("./autoencoders.ts")).suite,
  badinput: async () => (await import("./badinput.ts")).suite,
  blocks: async () => (await import("./blocks.ts")).suite,
  checkpoints: async () => (await import("./checkpoints.ts")).suite,
  clip: async () => (await import("./clip.ts")).suite,
  controlnet: async () => (await import("./controlnet.ts")).suite,
  denoisers: async () => (await import("./denoisers.ts")).suite,
  ema: async () => (await import("./ema.ts")).suite,
  "feature-networks": async () => (await import("./feature-networks.ts")).suite,
  "image-noise": async () => (await import("./image-noise.ts")).suite,
  kdiffusion: async () => (await import("./kdiffusion.ts")).suite,
  images: async () => (await import("./images.ts")).suite,
  metrics: async () => (await import("./metrics.ts")).suite,
  ops: async () => (await import("./ops.ts")).suite,
  optimisers: async () => (await import("./optimisers.ts")).suite,
  openclip: async () => (await import("./openclip.ts")).suite,
  pipelines: async () => (await import("./pipelines.ts")).suite,
  "prompt-grammar": async () => (await import("./prompt-grammar.ts")).suite,
  rng: async () => (await import("./rng.ts")).suite,
  safety: async () => (await import("./safety.ts")).suite,
  samplers: async () => (await import("./samplers.ts")).suite,
  schedulers: async () => (await import("./schedulers.ts")).suite,
  schedules: async () => (await import("./schedules.ts")).suite,
  tokenizers: async () => (await import("./tokenizers.ts")).suite,
  training: async () => (await import("./training.ts")).suite,
  transformers: async () => (await import("./transformers.ts")).suite,
  unets: async () => (await import("./unets.ts")).suite,
  vlb: async () => (await import("./vlb.ts")).suite,
};
