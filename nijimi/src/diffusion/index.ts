/** Schedules, parameterisations, losses, likelihoods and samplers of diffusion models. */
export * from "./likelihood/index.ts";
export * from "./losses/index.ts";
export * from "./noise/index.ts";
export * from "./parameterisations/index.ts";
export * from "./samplers/index.ts";
export * from "./schedules/index.ts";
